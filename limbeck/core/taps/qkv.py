"""Queries, keys and values of attention layers, as their projections give them; of a decoder, on itself."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from limbeck.core.errors import ModelError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import Site
from limbeck.core.signals.qkv import QKV
from limbeck.core.taps import Forward, Tap

_NAMES = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q_lin", "k_lin", "v_lin"),
    ("q", "k", "v"),
)

Caught = dict[Site, dict[int, Tensor]]


@contextmanager
def _around(reader: ForwardModel, sites: Sequence[Site]) -> Iterator[Caught]:
    layers, caught = _layers(reader, sites), Caught()
    with ExitStack() as hooks:
        for site, modules in layers.items():
            outputs = caught.setdefault(site, {})
            for place, module in enumerate(modules):

                def catch(_m: Any, _i: Any, output: Tensor, place: int = place, to: Any = outputs) -> None:
                    to[place] = output

                hooks.callback(module.register_forward_hook(catch).remove)
        yield caught


def _qkv(forward: Forward, site: Site) -> QKV:
    return QKV(*(forward.caught[site][place] for place in range(3)))


def _layers(reader: ForwardModel, sites: Sequence[Site]) -> dict[Site, tuple[nn.Module, ...]]:
    name = type(reader.plain).__name__
    found = list(_modules(reader.plain.get_decoder() if reader.is_seq2seq else reader.plain))
    if reader.is_seq2seq:
        found = found[::2]  # each decoder block: self-attention, then cross-attention
    if not found:
        raise ModelError(
            f"model must have separate q, k and v projections, got {name}. Use an objective on states."
        )
    layers: dict[Site, tuple[nn.Module, ...]] = {}
    for site in sites:
        if not isinstance(site, int) or not -len(found) <= site < len(found):
            raise ModelError(
                f"attention layer must lie between {-len(found)} and {len(found) - 1}, got {site}; "
                f"{name} has {len(found)} layers with separate q, k and v."
            )
        layers[site] = found[site]
    return layers


def _modules(model: nn.Module) -> Iterator[tuple[nn.Module, ...]]:
    for module in model.modules():
        children = dict(module.named_children())
        for names in _NAMES:
            if all(name in children for name in names):
                yield tuple(children[name] for name in names)


TAP = Tap(_qkv, around=_around)
