"""`build`: a student, made once."""

from typing import Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from limbeck.recipes.parts import Student
from limbeck.recipes.steps.step import Makes, Step


class Build(Step):
    """Make a student once, so that several trainings start from the same weights.

    A student that is pruned reads rows first, to see what matters; no other one reads any.
    """

    kind: ClassVar[str] = "build"
    makes: ClassVar[Makes] = "model"
    student: Student
    rows: str | None = Field(default=None, description="read to prune, never held-out ones")
    calibration_rows: int = Field(
        default=64, ge=1, description="rows drawn to prune by; of long texts, as many windows"
    )
    max_length: int = Field(default=256, ge=2, description="tokens of a row that is read to prune")
    seed: int = Field(default=0, ge=0)

    @model_serializer(mode="wrap")
    def _short(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        read = {"rows", "calibration_rows", "max_length"}
        if self.student.prune is None and self.rows is None:
            return {name: value for name, value in values.items() if name not in read}
        return values
