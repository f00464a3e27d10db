"""What asking will cost, before anything is asked: from the requests of the first rows, and the journal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from limbeck.core.asking import Request
from limbeck.endpoint import Endpoint, Forecast, forecast


@dataclass(frozen=True)
class Estimate:
    """What so many calls come to, if they are like those of the first rows.

    Attributes:
        endpoint: that is asked.
        tried: what the requests of the first rows come to.
        calls: of the step.
    """

    endpoint: Endpoint
    tried: Forecast
    calls: int

    @property
    def kept(self) -> float:
        """Share of the requests of which the answer is there already."""
        return (self.tried.kept + self.tried.repeated) / max(self.tried.requests, 1)

    def of_all(self, amount: int | Decimal | None) -> float | None:
        """What an amount of the tried requests comes to for those of the step that must be sent."""
        if amount is None:
            return None
        return float(amount) * self.calls * (1 - self.kept) / max(self.tried.calls, 1)

    def said(self) -> Iterator[str]:
        """Sentences for the plan."""
        tried = self.tried
        likely = self.of_all(tried.likely_written)
        told = "" if likely is None else f", about {likely:,.0f} if they are as long as those before"
        yield (
            f"About {self.calls:,} calls to {self.endpoint.model}: {self.of_all(tried.prompt):,.0f} tokens "
            f"read, at most {self.of_all(tried.most_written):,.0f} written{told}."
        )
        yield self._said_of_cost()
        if self.kept:
            yield f"Of the first {tried.requests:,} requests {self.kept:.0%} are answered already, and free."
        if tried.refused:
            yield (
                f"{tried.refused:,} of them were refused for good in an earlier run; retry_failed: true asks "
                "again."
            )
        yield from self._said_of_budget()

    def _said_of_cost(self) -> str:
        tried, model = self.tried, self.endpoint.model
        if tried.currency is None:
            return f"What they cost is not known: no price of {model} is given (prices: FILE)."
        cost, batched = self.of_all(tried.most_cost), self.of_all(tried.most_batched)
        likely = self.of_all(tried.likely_cost)
        told = "" if likely is None else f", about {likely:.4g} likely"
        both = f"; by the batch API {batched:.4g}" if batched != cost else ""
        now = " (batch is on)" if self.endpoint.batch else ""
        return f"At most {cost:.4g} {tried.currency}{told}{both}{now}."

    def _said_of_budget(self) -> Iterator[str]:
        budget, tried = self.endpoint.budget, self.tried
        cost = tried.most_batched if self.endpoint.batch else tried.most_cost
        wanted = (
            ("calls", budget.calls, self.of_all(tried.calls)),
            ("tokens", budget.tokens, self.of_all(tried.prompt + tried.most_written)),
            ("money", budget.money, self.of_all(cost)),
        )
        for name, most, needed in wanted:
            if most is not None and needed is not None and needed > most:
                yield (
                    f"budget.{name} is {most:,}, below what the step may need ({needed:,.6g}): the run then "
                    "pauses, keeps its answers, and goes on by the same command with a higher one."
                )


def estimate(
    endpoint: Endpoint,
    requests: Sequence[Request],
    *,
    calls: int,
    journal: Path,
    count: Callable[[Request], int] | None = None,
) -> Estimate:
    """What so many calls cost, if they are like some requests.

    Args:
        endpoint: that is asked.
        requests: of the first rows, as they will be sent.
        calls: how many there will be.
        journal: that keeps answers; it need not be there yet.
        count: tokens of a prompt, by its tokenizer; None: from its bytes.
    """
    return Estimate(endpoint, forecast(requests, endpoint, journal=journal, count_tokens=count), calls)
