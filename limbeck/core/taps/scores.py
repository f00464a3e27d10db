"""Attention scores [B, H, T, T] of a layer before the softmax, -inf where masked; of a decoder, on itself.

Biases of position are in them. They are caught where the model computes its attention, by eager or by
sdpa, in the order of its layers.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from limbeck.core.errors import ModelError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import Site
from limbeck.core.taps import Forward, Tap

_SOFTMAXES = (F.softmax, torch.softmax, Tensor.softmax)


class _Attention(TorchFunctionMode):
    """Notes what each attention layer is called with; computes nothing, so that layers may be recomputed."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        is_softmax = func in _SOFTMAXES and isinstance(args[0], Tensor) and args[0].dim() == 4
        if is_softmax or func is F.scaled_dot_product_attention:
            self.calls.append((func, args, kwargs))
        return func(*args, **kwargs)


@contextmanager
def _around(reader: ForwardModel, sites: Sequence[Site]) -> Iterator[_Attention]:
    with ExitStack() as stack:
        mode = stack.enter_context(_Attention())
        if reader.is_seq2seq:  # what the encoder has done goes out
            decoder = reader.plain.get_decoder()
            stack.callback(decoder.register_forward_pre_hook(lambda *_: mode.calls.clear()).remove)
        yield mode


def _scores(forward: Forward, site: Site) -> Tensor:
    # Each block of a decoder: self-attention, then cross-attention.
    calls = forward.caught.calls[:: 2 if forward.reader.is_seq2seq else 1]
    if not calls:
        raise ModelError(
            "model must compute its attention by eager or sdpa to give its scores, got a "
            f"{type(forward.reader.plain).__name__} with another. Load it with attn_implementation eager."
        )
    if not isinstance(site, int) or not -len(calls) <= site < len(calls):
        raise ModelError(f"attention layer must lie between {-len(calls)} and {len(calls) - 1}, got {site}.")
    func, args, kwargs = calls[site]
    scores = _of_sdpa(*args, **kwargs) if func is F.scaled_dot_product_attention else args[0]
    # Masks add the least number of their dtype, or -inf.
    return scores.masked_fill(scores <= torch.finfo(scores.dtype).min / 2, -torch.inf)


def _of_sdpa(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """What `scaled_dot_product_attention` puts into its softmax."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is None:
        return scores
    if attn_mask.dtype is torch.bool:
        return scores.masked_fill(~attn_mask, -torch.inf)
    return scores + attn_mask


TAP = Tap(_scores, around=_around)
