"""Types of recipe inputs; `runs.resolve` checks what the user gave against them."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from limbeck.recipes.model import Build, Step
from limbeck.recipes.parts import Student, Teacher

StudentLike = Student | str
"""A model's folder or id, `{cut: DIR, layers: 3}`, `{prune: DIR, ratio: 0.6}`, `{fresh: DIR, sizes: ...}`."""

TeacherLike = Teacher | str
"""A model's folder or id, or `{ensemble: [A, B]}`."""

Share = Annotated[float, Field(ge=0, le=1)]
Columns = Mapping[str, str]

START = "start"
ROWS = "rows.train"


def common_start(student: StudentLike, *, seed: int) -> tuple[tuple[Step, ...], Student]:
    """Steps that make the student, and what they make: trainings of a recipe start from equal weights.

    A model that is taken as it is needs no step. One that is pruned reads `rows.train`, as all
    recipes call the rows they learn from.
    """
    wanted = student if isinstance(student, Student) else Student.model_validate(student)
    if wanted.model is not None:
        return (), wanted
    rows = ROWS if wanted.prune is not None else None
    return (Build(out=START, student=wanted, rows=rows, seed=seed),), Student(model=START)


def as_teacher(teacher: TeacherLike) -> Teacher:
    """The teacher that an input means."""
    return teacher if isinstance(teacher, Teacher) else Teacher.model_validate(teacher)
