"""Which position of a teacher with another tokenizer answers a position of the student."""

from typing import Literal

import torch
from torch import Tensor

from limbeck.teachers.frames import Frame, places_of

Pairing = Literal["chunks", "order"]


def partners(student: Frame, teacher: Frame, pairing: Pairing) -> Tensor:
    """[B, T] place in the teacher's flattened batch that answers each target of the student; -1: none.

    Args:
        student: the rows in the student's tokens.
        teacher: the same rows, in the same order, in the teacher's.
        pairing: `chunks` takes tokens that are alone in their chunk on both sides, which are the same
            piece of text; `order` takes the n-th target of a row for the n-th, as ULD does.
    """
    stride = 1 + max(_extent(student, pairing), _extent(teacher, pairing))
    if pairing == "order":
        mine, others = student.order_keys(stride), teacher.order_keys(stride)
    else:
        mine, others = (_alone(frame.chunk_keys(stride)) for frame in (student, teacher))
    return places_of(others, mine).view(student.rows.shape)


def _alone(keys: Tensor) -> Tensor:
    """The keys that occur once; -1 in the place of others."""
    _, inverse, counts = torch.unique(keys, return_inverse=True, return_counts=True)
    return keys.where(counts[inverse] == 1, -1)


def _extent(frame: Frame, pairing: Pairing) -> int:
    if pairing == "order":
        return int(frame.rows.shape[1])
    return int(frame.batch.signals["chunks"].max())
