"""`pair`: rows of preferences, from answers that were judged."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.recipes.references import Names
from limbeck.recipes.steps.step import Makes, Step


class Pair(Step):
    """Pair answers to one question, a better with a worse one: rows with `chosen` and `rejected`.

    Better is who has the highest `score`, or whoever is in `rows` and not in `against`, such as rows that a
    gate let through and those it refused.
    """

    kind: ClassVar[str] = "pair"
    makes: ClassVar[Makes] = "rows"
    rows: Annotated[str, Names("rows", heldout=True)] = Field(description="with the better answers")
    against: Annotated[str | None, Names("rows", heldout=True)] = Field(
        default=None, description="with worse answers to the same questions"
    )
    score: str | None = Field(default=None, description="column of rows with a number; higher is better")
    rejects: Literal["random", "worst"] = Field(
        default="random", description="which of the lower scores is rejected"
    )
    most: int = Field(default=1, ge=1, description="pairs of a question")
    seed: int = Field(default=0, ge=0, description="of what is drawn")

    def sentence(self) -> str:
        """What it did, for the report."""
        by = f"by {self.score}" if self.score else f"with those of `{self.against}`"
        return f"Paired answers of `{self.rows}` {by}: `{self.out}`"

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """One of the two ways to say what is better."""
        if (self.score is None) == (self.against is None):
            got = "both" if self.score else "neither"
            yield Problem("score", f"must be given, or against, to say which answer is better, got {got}.")
        if self.against is not None and self.rejects == "worst":
            yield Problem("rejects", "must be random with against, got worst, which needs scores.")
