"""What was asked of an endpoint and what it cost, added up."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from limbeck.core.asking import Usage

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Most:
    """The most that a call can take: tokens that are read, tokens that are written, money."""

    prompt: int
    completion: int
    cost: Decimal | None = None

    @property
    def tokens(self) -> int:
        """Tokens that are read and written."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class Spend:
    """Calls, tokens and money.

    Attributes:
        calls: that were sent and not turned away by a rate limit.
        prompt: tokens that were read.
        cached: of these, those billed as read before.
        completion: tokens that were written, thoughts included.
        reasoning: of these, those of thoughts.
        cost: in the currency of the price table; 0 where no price is known.
        unknown_calls: that were under way when a process died: they may have been billed.
        unknown_tokens: the most that those can have taken.
        unknown_cost: the most that those can have cost.
    """

    calls: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0
    cost: Decimal = ZERO
    unknown_calls: int = 0
    unknown_tokens: int = 0
    unknown_cost: Decimal = ZERO

    @property
    def tokens(self) -> int:
        """Tokens that were read and written."""
        return self.prompt + self.completion

    def __add__(self, other: "Spend") -> "Spend":
        total: list[Any] = [mine + theirs for mine, theirs in zip(self.row(), other.row(), strict=True)]
        return Spend(*total)

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> "Spend":
        """From numbers as a journal keeps them, money as text."""
        values: list[Any] = [Decimal(value) if isinstance(value, str) else value for value in row]
        return cls(*values)

    def row(self) -> tuple[Any, ...]:
        """Its numbers in the order of `COLUMNS`."""
        return tuple(getattr(self, name) for name in COLUMNS)


class Tally:
    """A spend that grows."""

    def __init__(self) -> None:
        self._calls = self._prompt = self._cached = self._completion = self._reasoning = 0
        self._cost = ZERO
        self._lost: list[Most] = []

    def add(self, usage: Usage, cost: Decimal | None, *, calls: int = 1) -> None:
        """One more answer, and the calls that it took."""
        self._calls += calls
        self._prompt += usage.prompt
        self._cached += usage.cached
        self._completion += usage.completion
        self._reasoning += usage.reasoning
        if cost is not None:
            self._cost += cost

    def lose(self, most: Most) -> None:
        """One more call of which nobody knows how it ended."""
        self._lost.append(most)

    def spend(self) -> Spend:
        """What it is now."""
        return Spend(
            calls=self._calls,
            prompt=self._prompt,
            cached=self._cached,
            completion=self._completion,
            reasoning=self._reasoning,
            cost=self._cost,
            unknown_calls=len(self._lost),
            unknown_tokens=sum(most.tokens for most in self._lost),
            unknown_cost=sum((most.cost or ZERO for most in self._lost), ZERO),
        )


COLUMNS = tuple(field.name for field in fields(Spend))
"""Names of its numbers."""
