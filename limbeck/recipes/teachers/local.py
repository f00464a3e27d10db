"""A teacher that is a model in this process."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from limbeck.core.errors import Problem
from limbeck.core.model_words import place_of
from limbeck.recipes.named_models import NamesModel, with_words, without_words
from limbeck.recipes.references import Names
from limbeck.recipes.teachers.capabilities import CAPABILITIES
from limbeck.recipes.teachers.teacher import Teacher


class ModelTeacher(NamesModel, Teacher):
    """A model: a folder, a hub id, or the `out` of an earlier step."""

    form: ClassVar[str] = "model"
    example: ClassVar[str] = "{model: DIR_OR_ID}"

    model: Annotated[str, Names("model")] = Field(
        description="a folder, a hub id, or the `out` of an earlier step"
    )
    noise: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="standard deviation, on its logits in training"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return with_words(value)

    @property
    def said(self) -> str:
        """What it is, in messages."""
        return f"the model {self.called}"

    @property
    def called(self) -> str:
        """Where it lies."""
        return place_of(self.model)

    @property
    def models(self) -> dict[str, str]:
        """Itself."""
        return {"model": self.model}

    def gives(self) -> frozenset[str]:
        """Everything."""
        return frozenset(CAPABILITIES)

    def training_only(self) -> Iterator[Problem]:
        """Noise: what is measured, written or kept is its own answer."""
        if self.noise:
            yield Problem(
                "teacher.noise", f"must be 0 outside of train steps, got {self.noise:g}. Leave it out here."
            )

    def values(self) -> dict[str, Any]:
        """Its fields, with how the model is read beside its place."""
        return without_words(super().values())
