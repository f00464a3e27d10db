"""Where a student comes from, as frozen data."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from limbeck.core.lookup import unknown
from limbeck.recipes.named_models import FORMS, NamesModel, with_words, without_words
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
