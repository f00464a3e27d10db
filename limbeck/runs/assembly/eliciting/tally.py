"""What was asked, and what it cost: of a draw, and of all together."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from limbeck.core.asking import Reply


@dataclass
class Tally:
    """Answers that were used, with what they cost when they were bought.

    Attributes:
        calls: requests that were answered.
        cached: of these, those that were kept already.
        tokens_in: that were read.
        tokens_out: that were written.
        cost: of those with a price.
        spent: of these, what was paid now.
        unpriced: answers without a known price.
    """

    calls: int = 0
    cached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: Decimal = field(default_factory=Decimal)
    spent: Decimal = field(default_factory=Decimal)
    unpriced: int = 0

    def add(self, reply: Reply) -> None:
        """Count an answer."""
        self.calls += 1
        self.cached += reply.from_cache
        self.tokens_in += reply.usage.prompt
        self.tokens_out += reply.usage.completion
        if reply.cost is None:
            self.unpriced += 1
        else:
            self.cost += reply.cost
            self.spent += Decimal(0) if reply.from_cache else reply.cost

    def plus(self, other: "Tally") -> None:
        """Count all that another has counted."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def totals(self, accepted: int, currency: str | None) -> dict[str, Any]:
        """As `yield.json` says it; a cost is null where some price is not known."""
        cost = None if self.unpriced else self.cost
        return {
            "calls": self.calls,
            "cached": self.cached,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "cost": None if cost is None else str(cost),
            "spent": None if cost is None else str(self.spent),
            "currency": currency,
            "cost_per_accepted": None if cost is None or not accepted else f"{cost / accepted:.6g}",
        }
