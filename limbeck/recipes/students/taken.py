"""A student that is a model as it is."""

from typing import Annotated, ClassVar

from pydantic import Field

from limbeck.recipes.references import Names
from limbeck.recipes.students.student import Student


class ModelStudent(Student):
    """A model as it is."""

    form: ClassVar[str] = "model"
    example: ClassVar[str] = "{model: DIR_OR_ID}"

    model: Annotated[str, Names("model")] = Field(description="taken as it is")
