"""Two rows that two models read with different tokenizers, for DSKD's official numbers."""

import torch
from torch import Tensor

from limbeck.core.signals import Head
from limbeck.core.signals.space import HeadSpace
from limbeck.objectives.dual_space import Affine

STUDENT_IDS = torch.tensor([[4, 1, 3, 0, 2], [2, 2, 5, 1, 4]])
TEACHER_IDS = torch.tensor([[6, 2, 0, 3], [1, 5, 2, 7]])
STUDENT_LABELS = torch.tensor([[1, 3, 0, 2, 5], [2, 5, 1, 4, 0]])
TEACHER_LABELS = torch.tensor([[2, 0, 3, 1], [5, 2, 7, 4]])
STUDENT_WIDTH, TEACHER_WIDTH = 3, 4


def waves(*shape: int, start: float) -> Tensor:
    """Numbers between -1 and 1 that no generator has to repeat: sin(1.7 n + start)."""
    count = int(torch.tensor(shape).prod())
    return torch.sin(1.7 * torch.arange(count, dtype=torch.float64) + start).float().view(*shape)


def spaces() -> tuple[HeadSpace, HeadSpace, Tensor, Tensor, Tensor, Tensor]:
    """Both spaces, both embedding tables, and the ids that each side read."""
    tables = waves(6, STUDENT_WIDTH, start=0.1), waves(8, TEACHER_WIDTH, start=0.2)
    sides = []
    for table, ids, labels, width, start in (
        (tables[0], STUDENT_IDS, STUDENT_LABELS, STUDENT_WIDTH, 0.3),
        (tables[1], TEACHER_IDS, TEACHER_LABELS, TEACHER_WIDTH, 0.4),
    ):
        hidden, head = (
            2 * waves(*ids.shape, width, start=start),
            Head(3 * waves(len(table), width, start=start + 1)),
        )
        sides.append(HeadSpace(hidden, table[ids], table[labels], labels, head))
    return (*sides, *tables, STUDENT_IDS, TEACHER_IDS)


def maps() -> tuple[Affine, Affine, Affine]:
    """Query, to_student and to_teacher, with which t2s is right at one position of each row."""
    s, t = STUDENT_WIDTH, TEACHER_WIDTH
    sizes = ((2 * t, 2 * s, 1.24), (s, t, 1.34), (t, s, 1.44))
    return tuple(
        Affine(0.7 * waves(out, into, start=start), waves(out, start=start + 1.26))
        for out, into, start in sizes
    )
