"""The members of an ensemble, and who answers which row, as frozen data."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from limbeck.core.config import Config
from limbeck.core.model_words import place_of
from limbeck.recipes.named_models import NamesModel, option_problems, with_words, without_words
from limbeck.recipes.references import Names

View = Literal["own", "student"]
VIEW = "whose chat format it reads the rows in: that of its own tokenizer, or the student's"


class Member(NamesModel):
    """One teacher of an ensemble: a `model` or stored `signals`, with its share and its task."""

    model: Annotated[str, Names("model")] = Field(
        default="", description="a folder, a hub id, or the `out` of an earlier step"
    )
    signals: Annotated[str, Names("store")] = Field(default="", description="a store in the place of a model")
    name: str = Field(default="", description="what a route's column calls it; none: the model or the store")
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False, description="normalised over who answers")
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="divides its logits")
    on: str | None = Field(default=None, description="task whose units alone it answers; none: all")
    view: View = Field(default="own", description=VIEW)

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        if isinstance(value, dict) and "ensemble" in value:
            raise ValueError("must be a model or a store, got another ensemble. Put its members here.")
        return with_words(value)

    @model_validator(mode="after")
    def _is_one_of_two(self) -> "Member":
        if bool(self.model) == bool(self.signals):
            raise ValueError(
                "must be a model or a store, for example {model: DIR_OR_ID} or {signals: DIR}, got "
                f"{'both' if self.model else 'neither'}."
            )
        problems = list(option_problems(self, has_model=bool(self.model)))
        if problems:
            raise ValueError(" ".join(problems))
        return self

    @property
    def called(self) -> str:
        """Its name, in routes and reports."""
        return self.name or place_of(self.model) or self.signals

    @model_serializer
    def _short(self) -> dict[str, Any]:
        fields = type(self).model_fields
        values = without_words({name: getattr(self, name) for name in fields})
        return {name: value for name, value in values.items() if value != fields[name].default}


class Route(Config):
    """Who answers which row: the member that a `column` names, or the one to which it is `likelihood`iest."""

    column: str = Field(default="", description="of the rows; none: by likelihood")

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        if value == "likelihood":
            return {}
        if not isinstance(value, dict) or not value.get("column"):
            raise ValueError(f"must be likelihood or {{column: NAME}}, got {value!r}.")
        return value

    @model_serializer
    def _short(self) -> Any:
        return {"column": self.column} if self.column else "likelihood"
