"""A linear map from the student's width to the teacher's."""

import torch
from torch import Tensor, nn

from limbeck.core.errors import ObjectiveError


def projection(*, student_width: int, teacher_width: int) -> "Projection":
    """`projection`, [teacher_width, student_width]: the identity at first, or an isometry between widths.

    An isometry keeps the lengths of the narrower side, so the first values are in the units of
    the states themselves.

    Args:
        student_width: of the states that are mapped, at least 1.
        teacher_width: of the states that they are compared with, at least 1.

    Raises:
        ObjectiveError: a width is below 1.

    Source:
        A learnt map between widths as in Romero et al. 2014, arXiv:1412.6550; its start is ours.
    """
    for name, width in (("student_width", student_width), ("teacher_width", teacher_width)):
        if width < 1:
            raise ObjectiveError(f"{name} must be at least 1, got {width}.")
    return Projection(student_width, teacher_width)


class Projection(nn.Module):
    """See `projection`."""

    def __init__(self, student_width: int, teacher_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(teacher_width, student_width))
        if student_width != teacher_width:
            nn.init.orthogonal_(self.weight)

    def forward(self) -> dict[str, Tensor]:
        """The map, [teacher_width, student_width]."""
        return {"projection": self.weight}
