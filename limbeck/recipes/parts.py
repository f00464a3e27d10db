"""Students and teachers of recipes, as frozen data."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from limbeck.core.lookup import unknown
from limbeck.recipes.members import VIEW, Member, Route, View
from limbeck.recipes.named_models import FORMS, NamesModel, option_problems, with_words, without_words
from limbeck.recipes.references import Names

BYTES = "bytes"
"""The tokenizer word that names no folder: UTF-8 bytes are the tokens."""

PRUNED = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
)
"""Sizes that pruning can change."""


class Student(NamesModel):
    """Where the student comes from: `model`, or cut, pruned or new in the shape of another.

    A model is a folder, a hub id, or the `out` of an earlier step. It is trained in float32 and saved in
    the dtype it comes in, unless `dtype` says what it is trained and saved in.
    """

    model: Annotated[str | None, Names("model")] = Field(default=None, description="taken as it is")
    cut: Annotated[str | None, Names("model")] = Field(
        default=None, description="some `layers` of this model, weights and all"
    )
    layers: int | tuple[int, ...] | None = Field(
        default=None, description="how many, evenly spaced, or which"
    )
    prune: Annotated[str | None, Names("model")] = Field(
        default=None, description="the most important parts of this model, down to `sizes` or by `ratio`"
    )
    ratio: float | None = Field(default=None, gt=0, lt=1, description="share of the parameters pruned away")
    importance: Literal["gradient", "activation"] | None = Field(
        default=None, description="what hidden units, heads and neurons are pruned by; gradient if not said"
    )
    fresh: Annotated[str | None, Names("model")] = Field(
        default=None, description="new weights in the shape of this model, with `sizes`"
    )
    sizes: dict[str, Any] = Field(default_factory=dict, description="fields of the model's configuration")
    tokenizer: Annotated[str | None, Names("tokenizer")] = Field(
        default=None, description="another tokenizer: a folder or hub id, or the word `bytes`"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return with_words(value)

    @model_validator(mode="after")
    def _is_one_form(self) -> "Student":
        given = [name for name in FORMS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"must have exactly one of {', '.join(FORMS)}, got {given or 'none'}.")
        if (self.cut is not None) != (self.layers is not None):
            raise ValueError("cut and layers go together, for example {cut: DIR, layers: 3}.")
        if self.sizes and self.fresh is None and self.prune is None:
            raise ValueError("sizes go with fresh, for example {fresh: DIR, sizes: {hidden_size: 128}}.")
        problems = list(self._pruning_problems())
        if problems:
            raise ValueError(" ".join(problems))
        return self

    @property
    def form(self) -> str:
        """Which of `FORMS` it is."""
        return next(name for name in FORMS if getattr(self, name) is not None)

    @property
    def origin(self) -> str:
        """The model that the student is, or is made from."""
        return str(getattr(self, self.form))

    def at(self, out: str) -> "Student":
        """The student as a step has made it: the `out` of that step, trained and saved in the same dtype."""
        return Student(model=out, dtype=self.dtype)

    def _pruning_problems(self) -> Iterator[str]:
        if self.prune is None:
            for name in ("ratio", "importance"):
                if getattr(self, name) is not None:
                    yield f"{name} goes with prune, for example {{prune: DIR, ratio: 0.6}}."
            return
        if bool(self.sizes) == (self.ratio is not None):
            yield (
                "prune goes with either sizes or ratio, for example {prune: DIR, ratio: 0.6} or "
                "{prune: DIR, sizes: {num_hidden_layers: 6}}."
            )
        for name, size in self.sizes.items():
            if name not in PRUNED:
                yield f"sizes: {unknown('size', name, PRUNED)}"
            elif not isinstance(size, int) or isinstance(size, bool) or size < 1:
                yield f"sizes.{name} must be a whole number, at least 1, got {size!r}."

    @model_serializer
    def _short(self) -> dict[str, Any]:
        values = without_words({name: getattr(self, name) for name in type(self).model_fields})
        return {name: value for name, value in values.items() if value not in (None, {})}


class Teacher(NamesModel):
    """Who answers: a `model` (a folder, a hub id, or the `out` of an earlier step), or stored `signals`.

    A store is a folder, or the `out` of a capture step; only training reads one. Several of either are
    an `ensemble`.
    """

    model: Annotated[str, Names("model")] = ""
    signals: Annotated[str, Names("store")] = Field(default="", description="a store in the place of a model")
    noise: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="standard deviation, on its logits in training"
    )
    view: View = Field(default="own", description=VIEW)
    ensemble: tuple[Member, ...] = Field(default=(), description="several teachers in the place of one")
    mean: Literal["probabilities", "logits", "losses"] = Field(
        default="probabilities", description="what is averaged over an ensemble"
    )
    route: Route | None = Field(default=None, description="sends each row to one member of an ensemble")

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return with_words(value)

    @model_validator(mode="after")
    def _is_one_form(self) -> "Teacher":
        given = [name for name in ("model", "signals", "ensemble") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(
                "must be a model, a store or an ensemble, for example {model: DIR_OR_ID}, {signals: DIR} or "
                f"{{ensemble: [A, B]}}, got {' and '.join(given) or 'neither'}."
            )
        if self.signals and self.noise:
            raise ValueError(f"noise must be 0 with a store, which has no logits, got {self.noise:g}.")
        problems = [*option_problems(self, has_model=bool(self.model)), *self._ensemble_problems()]
        if problems:
            raise ValueError(" ".join(problems))
        return self

    @property
    def models(self) -> dict[str, str]:
        """The models it names: path inside it -> folder, id or out."""
        return self._words("model")

    @property
    def stores(self) -> dict[str, str]:
        """The stores it names: path inside it -> folder, or out of a capture."""
        return self._words("signals")

    @property
    def members(self) -> dict[str, "Teacher | Member"]:
        """Who answers, by the path inside it; itself under the empty path, if it is one."""
        return {f"ensemble.{place}.": one for place, one in enumerate(self.ensemble)} or {"": self}

    def _words(self, form: Literal["model", "signals"]) -> dict[str, str]:
        words = {f"{path}{form}": getattr(one, form) for path, one in self.members.items()}
        return {path: word for path, word in words.items() if word}

    def _ensemble_problems(self) -> Iterator[str]:
        if not self.ensemble:
            for name in ("mean", "route"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    yield f"{name} goes with ensemble, for example {{ensemble: [A, B], {name}: ...}}."
            return
        if self.noise:
            yield f"noise must be 0 with an ensemble, got {self.noise:g}."
        if self.view != "own":
            yield "view goes with each member, for example {ensemble: [{model: A, view: student}, B]}."
        if not any(member.weight for member in self.ensemble):
            yield "ensemble must have a member with a weight above 0."
        if self.route is None:
            return
        names = [member.called for member in self.ensemble]
        if len(set(names)) < len(names):
            yield f"members must have different names with a route, got {', '.join(names)}. Set name."
        if any(member.weight != 1 or member.on is not None for member in self.ensemble):
            yield "weight and on must be left out with a route, which chooses one member for each row."

    @model_serializer
    def _short(self) -> dict[str, Any]:
        fields = type(self).model_fields
        values = without_words({name: getattr(self, name) for name in fields})
        given = {name: value for name, value in values.items() if value != fields[name].default}
        if self.ensemble:
            given["ensemble"] = [member.model_dump(mode="json") for member in self.ensemble]
        if self.route is not None:
            given["route"] = self.route.model_dump(mode="json")
        return given
