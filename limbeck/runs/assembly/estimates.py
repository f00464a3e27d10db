"""What asking will cost, before anything is asked: from the requests of the first rows, and the journal."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from limbeck.core.asking import Request, Usage
from limbeck.endpoint import Endpoint
from limbeck.endpoint.estimates import estimated_tokens
from limbeck.endpoint.keys import request_key
from limbeck.endpoint.prices import Price, price_of, read_prices


@dataclass(frozen=True)
class Estimate:
    """Calls, tokens and money of a step's teacher, if nothing were kept already.

    Attributes:
        endpoint: that is asked.
        calls: requests.
        tokens_in: that are read.
        tokens_out: the most that are written.
        kept: share of the requests that were tried of which the answer is kept already.
        tried: requests that were made for this estimate.
    """

    endpoint: Endpoint
    calls: int
    tokens_in: int
    tokens_out: int
    kept: float
    tried: int

    @property
    def price(self) -> Price | None:
        """Of the model today."""
        table = self.endpoint.prices
        rows = read_prices(table) if isinstance(table, Path) else table
        return price_of(self.endpoint.model, rows, on=date.today())

    def cost(self, *, batched: bool) -> Decimal | None:
        """The most that all calls cost; None where no price is known."""
        usage = Usage(prompt=self.tokens_in, completion=self.tokens_out)
        return None if self.price is None else self.price.cost(usage, batched=batched)

    def said(self) -> Iterator[str]:
        """Sentences for the plan."""
        yield (
            f"About {self.calls:,} calls to {self.endpoint.model}: {self.tokens_in:,} tokens read, at most "
            f"{self.tokens_out:,} written."
        )
        yield self._said_of_cost()
        if self.kept:
            yield f"Of the first {self.tried:,} requests {self.kept:.0%} are answered already, and free."
        yield from self._said_of_budget()

    def _said_of_cost(self) -> str:
        price = self.price
        if price is None:
            return f"What they cost is not known: no price of {self.endpoint.model} is given (prices: FILE)."
        cost, batched = self.cost(batched=False), self.cost(batched=True)
        both = f"; by the batch API {batched:.4g}" if price.batch != 1 else ""
        now = " (batch is on)" if self.endpoint.batch else ""
        return f"At most {cost:.4g} {price.currency}{both}{now}."

    def _said_of_budget(self) -> Iterator[str]:
        budget = self.endpoint.budget
        left = 1 - self.kept
        wanted = (
            ("calls", budget.calls, Decimal(self.calls)),
            ("tokens", budget.tokens, Decimal(self.tokens_in + self.tokens_out)),
            ("money", budget.money, self.cost(batched=self.endpoint.batch)),
        )
        for name, most, needed in wanted:
            if most is not None and needed is not None and needed * Decimal(left) > most:
                yield (
                    f"budget.{name} is {most:,}, below what the step may need ({needed:,.6g}): the run then "
                    "pauses, keeps its answers, and goes on by the same command with a higher one."
                )


def estimate(
    endpoint: Endpoint,
    requests: Sequence[Request],
    *,
    calls: int,
    journal: Path | None,
    count: Callable[[Request], int] | None = None,
) -> Estimate:
    """What so many calls cost, if they are like some requests.

    Args:
        endpoint: that is asked.
        requests: of the first rows, as they will be sent.
        calls: how many there will be.
        journal: that keeps answers, if it exists.
        count: tokens of a prompt, by its tokenizer; None: from its bytes.
    """
    count = count or estimated_tokens
    each = max(len(requests), 1)
    read = sum(map(count, requests)) / each
    written = sum(one.max_tokens for one in requests) / each
    keys = [request_key(one, model=endpoint.model, label=endpoint.label) for one in requests]
    return Estimate(
        endpoint,
        calls,
        round(calls * read),
        round(calls * written),
        len(_kept(journal, keys)) / each,
        len(requests),
    )


def _kept(journal: Path | None, keys: Sequence[str]) -> set[str]:
    """Of some keys, those with an answer; looks without a lock."""
    if journal is None or not journal.is_file():
        return set()
    asked = "SELECT 1 FROM responses WHERE key = ?"
    try:
        with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return {key for key in keys if database.execute(asked, (key,)).fetchone()}
    except sqlite3.Error:  # another process writes to it, or it is none: said when it is opened
        return set()
