"""Prompts put together: which share a batch, and where they are padded."""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

Side = Literal["left", "right"]


def length_batches(
    lengths: Sequence[int], new: int, batch_tokens: int, *, equal: bool = False
) -> Iterator[list[int]]:
    """Places of prompts, longest first, so that too large a batch fails at once and padding is small.

    With `equal`, only prompts of one length share a batch, and nothing is padded.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        full = batch and (len(batch) + 1) * (lengths[batch[0]] + new) > batch_tokens
        if full or (equal and batch and lengths[place] != lengths[batch[0]]):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def pad_rows(
    prompts: Sequence[Sequence[int]], pad: int, device: torch.device, *, side: Side = "left"
) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` [B, T], padded to the longest.

    What is to be continued is padded on the left, what an encoder reads on the right: its positions
    count from 0 whatever the mask says.
    """
    longest = max(map(len, prompts))
    filled = [_filled(list(prompt), pad, longest, side) for prompt in prompts]
    mask = [_filled([1] * len(prompt), 0, longest, side) for prompt in prompts]
    return {
        "input_ids": torch.tensor(filled, device=device),
        "attention_mask": torch.tensor(mask, device=device),
    }


def _filled(row: list[int], fill: int, length: int, side: Side) -> list[int]:
    rest = [fill] * (length - len(row))
    return rest + row if side == "left" else row + rest
