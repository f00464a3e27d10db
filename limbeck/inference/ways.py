"""Ways of writing in which every row gets what it gets alone: asked of the model itself, not of its name.

Some models take their positions from the width of a batch and not from its mask (BART's decoder, RWKV),
some carry on no attention cache (Mamba), and of some transformers' own cache is broken (ProphetNet).
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from limbeck.inference.steppers import plain_model

_SHORT, _LONG, _NEW = 5, 37, 3  # tokens of the rows of the probe, and how many it lets write
_STEP, _FIRST = 7, 4  # ids of the probe; specials come first in many vocabularies
# Relative to the largest logit. In lower precision kernels and experts differ by a good deal between
# batches, and only what is grossly wrong is seen.
_ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-4}
_COARSE = 0.2
_FAILURES = (AttributeError, TypeError, ValueError, RuntimeError, IndexError, KeyError, NotImplementedError)

W = TypeVar("W", bound=Hashable)
Row = Sequence[int]
_found: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()


class Probe(NamedTuple):
    """What a way wrote: tokens [B, n] and the logits [B, n, V] it chose them by."""

    tokens: Tensor
    logits: Tensor


def first_faithful(
    model: Any,
    ways: Sequence[W],
    *,
    write: Callable[[W, list[list[int]], int], Probe],
    alone: Callable[[list[int], Tensor], Tensor],
    is_padded: Callable[[W], bool],
) -> W | None:
    """The first way that gives rows of a batch the logits they have alone; None where no way does.

    Args:
        model: a plain transformers model in eval mode; asked once, weights do not matter.
        ways: to be tried in this order.
        write: lets a way complete prompts by so many tokens each, greedily.
        alone: [n, V] logits of n tokens behind a prompt, from one forward pass without a cache.
        is_padded: whether a way must stand rows of different lengths.
    """
    known = _found.setdefault(model, {})
    key = tuple(ways)
    if key not in known:
        passed = (way for way in ways if _is_faithful(model, way, write, alone, is_padded(way)))
        known[key] = next(passed, None)
    found: W | None = known[key]
    return found


def long_rope_start(model: Any) -> int | None:
    """Positions beyond which a whole batch is read with other rotary factors (longrope); None without."""
    config = _text_config(plain_model(model))
    rope = getattr(config, "rope_parameters", None) or {}
    if "longrope" not in str(rope.get("rope_type", "")):
        return None
    return rope.get("original_max_position_embeddings") or getattr(
        config, "original_max_position_embeddings", None
    )


@torch.no_grad()
def _is_faithful(model: Any, way: Any, write: Any, alone: Any, padded: bool) -> bool:
    rows = _rows(_text_config(model), padded)
    try:
        written = write(way, rows, _NEW)
        expected = torch.stack([alone(row, new) for row, new in zip(rows, written.tokens, strict=True)])
    except _FAILURES:
        return False
    difference = (written.logits.float() - expected.float()).abs().max()
    allowed = _ROUNDING.get(next(model.parameters()).dtype, _COARSE)
    return bool(difference <= allowed * expected.float().abs().max())


def _text_config(model: Any) -> Any:
    return model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config


def _rows(config: Any, padded: bool) -> list[list[int]]:
    context = getattr(config, "max_position_embeddings", None) or 0
    long = min(_LONG, context // 2) if context > 0 else _LONG
    short = min(_SHORT, long - 1) if padded else long
    ids = [
        one for one in range(_FIRST, config.vocab_size) if one != getattr(config, "pad_token_id", None)
    ] or [0]
    drawn = [ids[_STEP * k % len(ids)] for k in range(short + long)]
    return [drawn[:short], drawn[short:]]
