"""A student that keeps some layers of a model."""

from typing import Annotated, ClassVar

from pydantic import Field

from limbeck.recipes.references import Names
from limbeck.recipes.students.student import Student


class CutStudent(Student):
    """Some layers of a model, with their weights."""

    form: ClassVar[str] = "cut"
    example: ClassVar[str] = "{cut: DIR, layers: 3}"

    cut: Annotated[str, Names("model")] = Field(description="some `layers` of this model, weights and all")
    layers: int | tuple[int, ...] = Field(description="how many, evenly spaced, or which")
