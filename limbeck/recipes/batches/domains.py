"""Rows of a train step, drawn by domain."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.recipes.batches.batch_transform import BatchTransform
from limbeck.recipes.references import Names
from limbeck.recipes.teachers.capabilities import BESIDE, Ask

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


class Domains(BatchTransform):
    """Draw rows by domain, more of those where the student lags behind its teacher (DDK)."""

    column: Annotated[str, Names("column")] = "domain"
    smoothing: float = Field(default=0.5, ge=0, le=1, description="alpha: share of the gaps against uniform")
    limit: float = Field(default=5.0, gt=1, description="largest ratio of perplexities that is believed")

    def invalidates(self) -> Mapping[str, str]:
        """Rollouts."""
        return {"rollouts": "what is written has no domain"}

    def asks(self, step: "Train", where: str) -> Iterator[Ask]:
        """How far the student is behind it."""
        yield Ask(where, BESIDE, "asks the teacher beside the training")

    def problems(self, step: "Train", where: str) -> Iterator[Problem]:
        """What does not go with it in a step."""
        yield from super().problems(step, where)
        if step.validation is None or step.validation.perplexities_by != self.column:
            yield Problem(
                where,
                "needs to know where the student lags: add validation: {rows: rows.validation, "
                f"perplexities_by: {self.column}}}.",
            )
