"""A student with new weights."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from limbeck.recipes.references import Names
from limbeck.recipes.students.student import Student


class FreshStudent(Student):
    """New weights in the shape of a model."""

    form: ClassVar[str] = "fresh"
    example: ClassVar[str] = "{fresh: DIR, sizes: {hidden_size: 128}}"
    keeps_weights: ClassVar[bool] = False

    fresh: Annotated[str, Names("model")] = Field(
        description="new weights in the shape of this model, with `sizes`"
    )
    sizes: dict[str, Any] = Field(default={}, description="fields of the model's configuration")
