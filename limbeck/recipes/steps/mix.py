"""`mix`: rows of several steps as one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.recipes.references import Names
from limbeck.recipes.steps.step import Makes, Step
from limbeck.report.words import listed


class Mix(Step):
    """Put rows of several steps together: all of them, or so much of each that it makes up its share.

    All must be of one kind of row. The column `mixed_from` says where each is from.
    """

    kind: ClassVar[str] = "mix"
    makes: ClassVar[Makes] = "rows"
    rows: tuple[Annotated[str, Names("rows", heldout=True)], ...] = Field(
        description="in this order; at least two"
    )
    shares: tuple[float, ...] = Field(
        default=(),
        description="of each in the whole, adding up to 1: as many rows as allow it are drawn at random, "
        "none twice; none: all rows of all",
    )
    seed: int = Field(default=0, ge=0, description="of what is drawn")

    def counts(self, lengths: Mapping[str, int]) -> dict[str, int]:
        """How many rows are taken of each that is so long: the most that keep the shares, rounded down."""
        if not self.shares:
            return dict(lengths)
        pairs = dict(zip(self.rows, self.shares, strict=True))
        whole = min(lengths[name] / share for name, share in pairs.items() if share)
        return {name: min(lengths[name], int(whole * share + 1e-9)) for name, share in pairs.items()}

    def sentence(self) -> str:
        """What it did, for the report."""
        parts = [f"`{name}`" for name in self.rows]
        if self.shares:
            parts = [f"{share:.0%} {part}" for share, part in zip(self.shares, parts, strict=True)]
        return f"Mixed {listed(parts)} as `{self.out}`"

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """Too few rows to mix, and shares that are none."""
        if len(set(self.rows)) < len(self.rows) or len(self.rows) < 2:
            yield Problem(
                "rows", f"must name two rows or more, each once, got {', '.join(self.rows) or 'none'}."
            )
        if not self.shares:
            return
        if len(self.shares) != len(self.rows):
            yield Problem(
                "shares", f"must be {len(self.rows)}, one for each of rows, got {len(self.shares)}."
            )
        if min(self.shares) < 0 or abs(sum(self.shares) - 1) > 1e-6:
            yield Problem(
                "shares",
                f"must be shares that add up to 1, got {', '.join(f'{share:g}' for share in self.shares)}.",
            )
