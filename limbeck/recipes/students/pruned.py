"""A student that keeps the most important parts of a model."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from limbeck.core.lookup import unknown
from limbeck.recipes.references import Names
from limbeck.recipes.students.student import Student

PRUNED = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
)
"""Sizes that pruning can change."""


class PrunedStudent(Student):
    """The most important parts of a model, down to `sizes` or by `ratio`."""

    form: ClassVar[str] = "prune"
    example: ClassVar[str] = "{prune: DIR, ratio: 0.6}"
    reads_rows: ClassVar[bool] = True

    prune: Annotated[str, Names("model")] = Field(
        description="the most important parts of this model, down to `sizes` or by `ratio`"
    )
    ratio: float | None = Field(default=None, gt=0, lt=1, description="share of the parameters pruned away")
    importance: Literal["gradient", "activation"] | None = Field(
        default=None, description="what hidden units, heads and neurons are pruned by; gradient if not said"
    )
    sizes: dict[str, Any] = Field(default={}, description="what is left, by the model's configuration")

    def problems(self) -> Iterator[str]:
        """Sizes or a ratio, and sizes that pruning can change."""
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
