"""Types of recipe inputs; `runs.resolve` checks what the user gave against them."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from limbeck.recipes.model import Build, Step
from limbeck.recipes.parts import Student

StudentLike = Student | str
"""A model's folder or id, or `{cut: DIR, layers: 3}`, or `{fresh: DIR, sizes: {...}}`."""

Share = Annotated[float, Field(ge=0, le=1)]
Columns = Mapping[str, str]

START = "start"


def common_start(student: StudentLike, *, seed: int) -> tuple[tuple[Step, ...], Student]:
    """Steps that make the student, and what they make: trainings of a recipe start from equal weights.

    A model that is taken as it is needs no step.
    """
    wanted = student if isinstance(student, Student) else Student.model_validate(student)
    if wanted.model is not None:
        return (), wanted
    return (Build(out=START, student=wanted, seed=seed),), Student(model=START)
