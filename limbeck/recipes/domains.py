"""Rows of a train step, drawn by domain."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from limbeck.core.config import Config
from limbeck.core.errors import Problem
from limbeck.recipes.references import Names

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


class Domains(Config):
    """Draw rows by domain, more of those where the student lags behind its teacher (DDK)."""

    column: Annotated[str, Names("column")] = "domain"
    smoothing: float = Field(default=0.5, ge=0, le=1, description="alpha: share of the gaps against uniform")
    limit: float = Field(default=5.0, gt=1, description="largest ratio of perplexities that is believed")

    def problems(self, step: "Train") -> Iterator[Problem]:
        """What does not go with it in a step."""
        if step.watch is None or step.watch.perplexities_by != self.column:
            yield Problem(
                "",
                "needs to know where the student lags: add watch: {rows: rows.validation, perplexities_by: "
                f"{self.column}}}.",
            )
        if step.rollouts is not None:
            yield Problem("", "cannot go with rollouts yet: leave one of them out.")
