"""Whether one more call fits into a budget."""

from collections.abc import Callable
from decimal import Decimal

from limbeck.endpoint.settings import Budget
from limbeck.endpoint.spend import ZERO, Most, Spend


class Purse:
    """A budget, what was spent of it and what is set aside for calls under way."""

    def __init__(self, budget: Budget, spent: Callable[[], Spend]) -> None:
        self.budget, self._spent = budget, spent
        self._limited = budget != Budget()
        self._calls, self._tokens, self._cost = 0, 0, ZERO

    def reserve(self, most: Most) -> None:
        """Set aside what a call can take."""
        self._calls += 1
        self._tokens += most.tokens
        self._cost += most.cost or ZERO

    def release(self, most: Most) -> None:
        """The call is over, and what it took is among what was spent."""
        self._calls -= 1
        self._tokens -= most.tokens
        self._cost -= most.cost or ZERO

    @property
    def reserved(self) -> tuple[int, int, Decimal]:
        """Calls, tokens and money that are set aside."""
        return self._calls, self._tokens, self._cost

    def exceeded(self, most: Most) -> str | None:
        """Which limit one more call could pass, in words; None where it fits."""
        if not self._limited:
            return None
        spent, budget = self._spent(), self.budget
        calls = spent.calls + spent.unknown_calls
        if budget.calls is not None and calls + self._calls + 1 > budget.calls:
            return f"{calls:,} of {budget.calls:,} calls were made"
        tokens = spent.tokens + spent.unknown_tokens
        if budget.tokens is not None and tokens + self._tokens + most.tokens > budget.tokens:
            return f"{tokens:,} of {budget.tokens:,} tokens were used, and the next may take {most.tokens:,}"
        cost = spent.cost + spent.unknown_cost
        if budget.money is not None and cost + self._cost + (most.cost or ZERO) > budget.money:
            return f"{cost} of {budget.money} were spent, and the next call may cost {most.cost or ZERO}"
        return None
