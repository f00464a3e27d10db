"""What requests will cost, before any of them is sent."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from limbeck.core.asking import Request, Usage
from limbeck.endpoint.estimates import estimated_tokens
from limbeck.endpoint.keys import request_key
from limbeck.endpoint.prices import price_of, price_table
from limbeck.endpoint.reader import reading
from limbeck.endpoint.settings import Endpoint


@dataclass(frozen=True, slots=True)
class Forecast:
    """What asking these requests comes to.

    Attributes:
        requests: that were counted.
        kept: of these, those whose answers are in the journal.
        refused: those that were refused for good before, and are not asked again.
        repeated: those that say the same as an earlier one.
        calls: that are left to make.
        prompt: tokens that those read, estimated unless a counter was given.
        most_written: tokens that they can write.
        likely_written: tokens that they will write if they are as long as the answers before; None before the
            first.
        most_cost: at the most; None where no price is known.
        likely_cost: if answers are as long as those before.
        most_batched: the same at the price of the provider's batch API.
        likely_batched: the same.
        currency: of money.
    """

    requests: int = 0
    kept: int = 0
    refused: int = 0
    repeated: int = 0
    calls: int = 0
    prompt: int = 0
    most_written: int = 0
    likely_written: int | None = None
    most_cost: Decimal | None = None
    likely_cost: Decimal | None = None
    most_batched: Decimal | None = None
    likely_batched: Decimal | None = None
    currency: str | None = None


def forecast(
    requests: Iterable[Request],
    endpoint: Endpoint,
    *,
    journal: Path,
    count_tokens: Callable[[Request], int] | None = None,
) -> Forecast:
    """Count requests without sending any.

    Requests that an operator makes of earlier answers are not among those that it can be given: of such an
    operator this is the first round.

    Args:
        requests: taken one by one; they may be millions.
        endpoint: that would be asked.
        journal: that would be used; it may not exist yet.
        count_tokens: of a prompt; None: estimated from its bytes.

    Raises:
        ConfigError: a request cannot be one.
        StoreError: the journal cannot be read.
    """
    count = count_tokens or estimated_tokens
    total = kept = refused = repeated = calls = prompt = most = 0
    likely = 0.0
    with reading(journal) as kept_before, closing(_Seen()) as seen:
        mean = None if kept_before is None else kept_before.written_tokens()
        for request in requests:
            total += 1
            key = request_key(request, model=endpoint.model, label=endpoint.label)
            if kept_before is not None and kept_before.holds(key):
                kept += 1
            elif kept_before is not None and kept_before.refused(key):
                refused += 1
            elif seen.already(key):
                repeated += 1
            else:
                calls += 1
                prompt += count(request)
                most += request.max_tokens
                likely += min(mean or 0.0, request.max_tokens)
    found = Forecast(
        total, kept, refused, repeated, calls, prompt, most, None if mean is None else round(likely)
    )
    return _priced(found, endpoint)


def _priced(found: Forecast, endpoint: Endpoint) -> Forecast:
    price = price_of(endpoint.model, price_table(endpoint.prices), on=date.today())
    if price is None:
        return found
    values = {name: getattr(found, name) for name in Forecast.__slots__}
    values |= {
        "currency": price.currency,
        "most_cost": price.most(found.prompt, found.most_written),
        "most_batched": price.most(found.prompt, found.most_written) * price.batch,
    }
    if found.likely_written is not None:
        usage = Usage(prompt=found.prompt, completion=found.likely_written)
        values |= {"likely_cost": price.cost(usage), "likely_batched": price.cost(usage, batched=True)}
    return Forecast(**values)


class _Seen:
    """Keys that were seen, in a file that SQLite removes, so that millions of them take no memory."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def already(self, key: str) -> bool:
        """Whether it was seen before; now it is."""
        half = bytes.fromhex(key[:32])  # 128 bits tell any number of requests apart
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (half,)).rowcount == 0

    def close(self) -> None:
        """Remove them."""
        self._database.close()
