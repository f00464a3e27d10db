"""Rotary positions whose frequencies follow the length of what is read (longrope, dynamic NTK), row by row.

transformers takes one set of frequencies for a whole batch, from its longest row: the same row then has
other logits beside a long one, in a pack, or after a long batch (dynamic NTK keeps the last set). Here
every row gets the frequencies it has alone.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_MARK = "_limbeck_reads_rows_alone"


def keep_rows_alone(model: nn.Module) -> bool:
    """Let rotary embeddings of these kinds read each row for itself; whether the model has any.

    A row is told by its positions: it begins where they do not go on by one. Rows of a batch that are
    filled up must therefore come with `own_positions`.
    """
    found = list(_following(model))
    for module in found:
        if not getattr(module, _MARK, False):
            module.register_forward_hook(_alone, with_kwargs=True)
            setattr(module, _MARK, True)
    return bool(found)


def own_positions(attention_mask: Tensor) -> Tensor:
    """[B, T] positions that count the tokens of each row; 0 at padding, which is a row for itself."""
    return (attention_mask.cumsum(-1) - 1).clamp_min(0) * attention_mask


def _following(model: nn.Module) -> Iterator[nn.Module]:
    for module in model.modules():
        kind = getattr(module, "rope_type", None)
        if any(_follows(one) for one in (kind.values() if isinstance(kind, dict) else [kind])):
            yield module


def _follows(kind: Any) -> bool:
    return isinstance(kind, str) and (kind == "longrope" or "dynamic" in kind)


@torch.no_grad()
def _alone(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    """The rotary embedding of each length in turn, put together; replaces the output for the whole batch."""
    kwargs = dict(kwargs)
    x, *rest = args if args else (kwargs.pop("x"),)
    positions: Tensor = kwargs.pop("position_ids") if "position_ids" in kwargs else rest.pop(0)
    layer_type = kwargs.get("layer_type", rest[0] if rest else None)
    kind = module.rope_type if layer_type is None else module.rope_type[layer_type]
    if not _follows(kind):
        return output
    keys = _keys(module, kind, layer_type, _lengths(positions))
    made: list[Tensor] | None = None
    for key in keys.unique():
        chosen = keys == key
        _reset(module, layer_type)
        parts = module.forward(x, positions.where(chosen, torch.zeros_like(positions)), *rest, **kwargs)
        if made is None:
            made = list(parts)
        else:
            made = [torch.where(chosen[..., None], new, old) for new, old in zip(parts, made, strict=True)]
    _reset(module, layer_type)
    return output if made is None else tuple(made)


def _lengths(positions: Tensor) -> Tensor:
    """[B, T] at every token the length of its row."""
    begins = torch.ones_like(positions, dtype=torch.bool)
    begins[:, 1:] = positions[:, 1:] != positions[:, :-1] + 1
    rows = begins.flatten().cumsum(0) - 1
    longest = positions.new_zeros(int(rows[-1]) + 1 if rows.numel() else 0)
    longest.scatter_reduce_(0, rows, positions.flatten(), "amax")
    return longest[rows].view_as(positions) + 1


def _keys(module: Any, kind: str, layer_type: str | None, lengths: Tensor) -> Tensor:
    """Equal for rows that have the same frequencies."""
    if kind == "longrope":
        parameters = module.config.rope_parameters
        own = parameters if layer_type is None else parameters[layer_type]
        return (lengths > own["original_max_position_embeddings"]).long()
    return lengths.where(lengths > module.original_max_seq_len, torch.zeros_like(lengths))


def _reset(module: Any, layer_type: str | None) -> None:
    """Forget the longest row so far."""
    prefix = "" if layer_type is None else f"{layer_type}_"
    current, original = (getattr(module, f"{prefix}{name}inv_freq") for name in ("", "original_"))
    current.data = original.to(current.device).clone()
    module.max_seq_len_cached = module.original_max_seq_len
    if layer_type is not None:
        setattr(module, f"{prefix}max_seq_len_cached", module.original_max_seq_len)
