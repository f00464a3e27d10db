"""The base of the forms of student: where the model that is trained comes from."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from limbeck.recipes.forms import Formed
from limbeck.recipes.named_models import NamesModel, with_words, without_words
from limbeck.recipes.references import Names

BYTES = "bytes"
"""The tokenizer word that names no folder: UTF-8 bytes are the tokens."""


class Student(NamesModel, Formed):
    """Where the student comes from: a model as it is, or cut, pruned or new in the shape of another.

    A model is a folder, a hub id, or the `out` of an earlier step. It is trained in float32 and saved in
    the dtype it comes in, unless `dtype` says what it is trained and saved in.
    """

    what: ClassVar[str] = "a model's folder or id"
    forms: ClassVar[dict[str, Any]] = {}
    keeps_weights: ClassVar[bool] = True  # of the model that it is made from
    reads_rows: ClassVar[bool] = False  # to be made

    tokenizer: Annotated[str | None, Names("tokenizer")] = Field(
        default=None, description="another tokenizer: a folder or hub id, or the word `bytes`"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return with_words(value)

    @property
    def origin(self) -> str:
        """The model that the student is, or is made from."""
        return str(getattr(self, self.form))

    def at(self, out: str) -> "Student":
        """The student as a step has made it: the `out` of that step, trained and saved in the same dtype."""
        return self.forms["model"].model_validate({"model": out, "dtype": self.dtype})

    def values(self) -> dict[str, Any]:
        """Its fields, how the model is read beside its place, and its tokenizer last."""
        values = without_words(super().values())
        return {**values, "tokenizer": values.pop("tokenizer")}
