"""Which terms of a criterion are held against which teacher, when losses are averaged over teachers."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from limbeck.core.outputs import Outputs


def per_teacher(
    reads: Sequence[bool], rows: Tensor, teacher: Outputs | None, loss_mask: Tensor
) -> Iterator[tuple[list[int], Tensor, Outputs | None]]:
    """One reading of a micro-batch, or, where losses are averaged over teachers, one a teacher.

    Args:
        reads: of each term, whether it reads a teacher; those that do not go with the first reading.
        rows: [terms, N] weight of each unit in the loss in each term's mean.
        teacher: its answer; None without one.
        loss_mask: [B, T] or [B], true at the N units in the loss.

    Yields:
        places of terms, their weights [places, N] in this reading, and the answer they are held against.
    """
    if teacher is None or not teacher.members:
        yield list(range(len(reads))), rows, teacher
        return
    for number, (weight, answer) in enumerate(teacher.members):
        factor = weight[loss_mask] if isinstance(weight, Tensor) else weight
        places = [place for place, is_taught in enumerate(reads) if is_taught or not number]
        parts = [rows[place] * factor if reads[place] else rows[place] for place in places]
        if places:
            yield places, torch.stack(parts), answer
