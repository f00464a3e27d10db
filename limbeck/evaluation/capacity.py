"""The law of capacity gap: how large a teacher should be for a student of a given size."""

import math
from collections.abc import Mapping

from limbeck.core.errors import ModelError

_SLOPE, _SHIFT = 2.498, 11.498  # of the law, in millions of parameters
_MILLION = 1e6


def best_teacher_size(student_parameters: int) -> float:
    """Parameters of the teacher from which a student of this size learns most, by the law of capacity gap.

    T* = 2.498 S - 11.498, in millions: about two and a half times the student. The constant would make
    teachers of students below 7.7 million smaller than the student, far outside the models that the law was
    fitted to; T* is 2.498 S there until the law itself gives more than S.

    Args:
        student_parameters: S, at least 1; counted as the law does, all of them.

    Returns:
        T*, a number of parameters, above S.

    Raises:
        ModelError: a student without parameters.

    Source:
        Zhang et al. 2023, arXiv:2311.07052 (R^2 0.9957 over pruned GPT-2 and Pythia students). It holds for a
        fixed number of training tokens; with more of them larger teachers pay.
    """
    if student_parameters < 1:
        raise ModelError(f"student_parameters must be at least 1, got {student_parameters}.")
    by_law = _SLOPE * student_parameters - _SHIFT * _MILLION
    return by_law if by_law > student_parameters else _SLOPE * student_parameters


def suggest_teacher(student_parameters: int, available: Mapping[str, int]) -> str:
    """The available teacher nearest to `best_teacher_size`, by ratio; never one smaller than the student.

    Args:
        student_parameters: of the student, at least 1.
        available: number of parameters by name.

    Raises:
        ModelError: none of the teachers is larger than the student.
    """
    wanted = best_teacher_size(student_parameters)
    larger = {name: size for name, size in available.items() if size > student_parameters}
    if not larger:
        listed = ", ".join(f"{name} ({size:,})" for name, size in available.items()) or "none"
        raise ModelError(
            f"available must have a teacher larger than the student's {student_parameters:,} parameters, got "
            f"{listed}. Take one of about {wanted:,.0f}."
        )
    return min(larger, key=lambda name: abs(math.log(larger[name] / wanted)))
