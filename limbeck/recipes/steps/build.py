"""`build`: a student, made once."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from limbeck.core.errors import Problem
from limbeck.recipes.references import Names
from limbeck.recipes.sentences import origin_said, part_said
from limbeck.recipes.steps.step import Makes, Step
from limbeck.recipes.students import Student


class Build(Step):
    """Make a student once, so that several trainings start from the same weights.

    A student that is pruned reads rows first, to see what matters; no other one reads any.
    """

    kind: ClassVar[str] = "build"
    makes: ClassVar[Makes] = "model"
    student: Student
    rows: Annotated[str | None, Names("rows")] = Field(
        default=None, description="read to prune, never held-out ones"
    )
    calibration_rows: int = Field(
        default=64, ge=1, description="rows drawn to prune by; of long texts, as many windows"
    )
    max_length: int = Field(default=256, ge=2, description="tokens of a row that is read to prune")
    seed: int = Field(default=0, ge=0)

    @model_serializer(mode="wrap")
    def _short(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        read = {"rows", "calibration_rows", "max_length"}
        if not self.student.reads_rows and self.rows is None:
            return {name: value for name, value in values.items() if name not in read}
        return values

    @property
    def origin(self) -> str:
        """The model that the student is, or is made from."""
        return self.student.origin

    @property
    def description(self) -> str:
        """The student, in words."""
        return f"made from {origin_said(self.student)}, not trained"

    def sentence(self) -> str:
        """What it did, for the report."""
        return f"Made `{self.out}` from {part_said(self.student)}"

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """Rows are read to prune, and only then."""
        prunes = self.student.reads_rows
        if prunes and self.rows is None:
            yield Problem("rows", "must name rows to prune by, got none. For example rows: rows.train.")
        elif not prunes and self.rows is not None:
            yield Problem(
                "rows", f"is read only to prune, got '{self.rows}' with {self.student.form}. Leave it out."
            )
