"""The request engine: asks a teacher behind a wire, and never pays twice for one answer."""

import asyncio
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

from limbeck.core.asking import Paused, Reply, Request, RequestFailed
from limbeck.core.errors import ConfigError
from limbeck.endpoint.admission import Admission
from limbeck.endpoint.budgets import Purse
from limbeck.endpoint.codec import decode
from limbeck.endpoint.estimates import estimated_tokens
from limbeck.endpoint.fetching import Asked, Fetcher
from limbeck.endpoint.health import Health
from limbeck.endpoint.journal import Journal
from limbeck.endpoint.keys import canonical, key_of
from limbeck.endpoint.mapping import Mapped, ordered
from limbeck.endpoint.prices import Price, price_of, price_table
from limbeck.endpoint.secret import read_secret
from limbeck.endpoint.settings import Endpoint
from limbeck.endpoint.spend import Spend, Tally
from limbeck.endpoint.structured import Fitting
from limbeck.endpoint.together import Together
from limbeck.endpoint.transport import ManyTransport, Transport

Item = TypeVar("Item")
Value = TypeVar("Value")

_AHEAD = 16  # items begun ahead of the oldest that is waited for, for each worker
_BATCHED = 20_000  # requests that wait for batches at once: each is a task of a few kilobytes


@dataclass(frozen=True, slots=True)
class Spending:
    """What a teacher cost.

    Attributes:
        total: since the journal's first run of this scope; what a budget limits.
        now: by this process.
        reserved: the most that calls under way can still take.
        saved: by answers that were kept already; its calls are how many those were.
        currency: of money; None where no price is known, and all of it is 0.
    """

    total: Spend
    now: Spend
    reserved: Spend
    saved: Spend
    currency: str | None


class Engine:
    """Asks one teacher, through one journal.

    It is an `Ask`. Each answer is kept under a hash of all that it depends on; the same request is never sent
    again, in this process or in a later one. It is used within one event loop, and closed.

    Attributes:
        endpoint: what is asked.
        workers: calls that may be under way at once; by batches, requests that may wait.
        fitting: holds answers to schemas, and counts how they were read and how many were asked for again.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        transport: Transport,
        *,
        journal: Path,
        scope: str = "",
        retry_failed: bool = False,
        count_tokens: Callable[[Request], int] | None = None,
    ) -> None:
        """Open the journal of a teacher.

        Args:
            endpoint: what is asked. Its `journal` is not read: which file is taken is the caller's decision.
            transport: that carries the calls.
            journal: file that keeps what was asked and answered.
            scope: whose spending the budget limits, such as a run folder; other scopes share the answers.
            retry_failed: ask again what was refused for good.
            count_tokens: of a prompt; None: estimated from its bytes.

        Raises:
            ConfigError: a key or a price is missing.
            StoreError: another process writes to the journal, or it is something else.
        """
        self.endpoint, self._transport = endpoint, transport
        self._price = _price(endpoint)
        secret = read_secret(endpoint.api_key_env)
        self._journal = Journal(journal, scope=scope, durability=endpoint.durability)
        if retry_failed:
            self._journal.forget_failures()
        if self._journal.shared is not None:
            warnings.warn(
                f"the journal {journal} lies on a network file system ({self._journal.shared}): nobody can "
                f"read "
                "it meanwhile, and it is slower; name a file on a disk of this machine by `journal: FILE`",
                stacklevel=2,
            )
        self.workers = max(endpoint.workers, _BATCHED) if endpoint.batch else endpoint.workers
        self._health = Health(workers=self.workers, clock=lambda: asyncio.get_running_loop().time())
        self._admission = Admission(
            self._health,
            Purse(endpoint.budget, self._total),
            requests_per_minute=endpoint.requests_per_minute,
            tokens_per_minute=endpoint.tokens_per_minute,
        )
        self._flights: dict[str, asyncio.Future[Reply | Exception | None]] = {}
        self._saved = Tally()
        self.fitting = Fitting(self._ask)
        self._fetcher = Fetcher(
            endpoint,
            transport,
            self._journal,
            self._admission,
            price=self._price,
            secret=secret,
            count_tokens=count_tokens or estimated_tokens,
        )
        self._together = Together(self._fetcher) if isinstance(transport, ManyTransport) else None

    async def ask(self, request: Request) -> Reply:
        """The answer to a request: as it was kept, or from the teacher.

        With a schema, `parsed` fits it; an answer that does not is asked for again with the error.

        Raises:
            RequestFailed: this request has no answer; others may.
            Paused: nothing more can be asked now; the same command goes on later.
        """
        return await self.fitting(request)

    async def _ask(self, request: Request) -> Reply:
        content = canonical(request, model=self.endpoint.model, label=self.endpoint.label)
        key = key_of(content)
        while True:
            kept = self._kept(key)
            if kept is not None:
                return kept
            flight = self._flights.get(key)
            if flight is None:
                return await self._lead(request, content, key)
            outcome = await asyncio.shield(flight)
            if isinstance(outcome, Exception):
                raise outcome

    async def __call__(self, request: Request) -> Reply:
        """The same as `ask`."""
        return await self.ask(request)

    def map(
        self, items: Iterable[Item] | AsyncIterable[Item], work: Callable[[Item], Awaitable[Value]]
    ) -> AsyncIterator[Mapped[Item, Value]]:
        """Do work on each item, many at once, and give the results in the order of the items.

        Args:
            items: taken as there is room, so that they may be millions.
            work: asks as often as it likes. A `RequestFailed` that it lets pass is its item's result.

        Raises:
            Paused: after the results of all items before the first that it stopped.
        """
        # Twice: while one of a pair is written to the journal, the other is with the server.
        workers = 2 * self.workers
        return ordered(items, work, workers=workers, ahead=_AHEAD * workers)

    def key(self, request: Request) -> str:
        """Under which key the answer to a request is kept."""
        return key_of(canonical(request, model=self.endpoint.model, label=self.endpoint.label))

    def spending(self) -> Spending:
        """What was spent, and what was not."""
        calls, tokens, cost = self._admission.purse.reserved
        return Spending(
            total=self._total(),
            now=self._journal.tally.spend(),
            reserved=Spend(unknown_calls=calls, unknown_tokens=tokens, unknown_cost=cost),
            saved=self._saved.spend(),
            currency=None if self._price is None else self._price.currency,
        )

    async def aclose(self) -> None:
        """Let go of the transport and of the journal."""
        try:
            if self._together is not None:
                await self._together.aclose()
            await self._transport.aclose()
        finally:
            await self._journal.aclose()

    async def __aenter__(self) -> "Engine":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def _total(self) -> Spend:
        return self._journal.earlier + self._journal.tally.spend()

    def _kept(self, key: str) -> Reply | None:
        body = self._journal.answer(key)
        if body is not None:
            reply = decode(body, key=key, from_cache=True)
            self._saved.add(reply.usage, reply.cost)
            return reply
        failure = self._journal.failure(key)
        if failure is not None:
            raise RequestFailed(failure)
        return None

    async def _lead(self, request: Request, content: bytes, key: str) -> Reply:
        """Ask the teacher; whoever asks the same meanwhile waits for this answer."""
        flight: asyncio.Future[Reply | Exception | None] = asyncio.get_running_loop().create_future()
        self._flights[key] = flight
        outcome: Exception | None = None
        try:
            return await self._fetch(Asked(request, content, key))
        except (RequestFailed, Paused) as error:
            outcome = error
            raise
        finally:
            del self._flights[key]
            flight.set_result(outcome)

    async def _fetch(self, asked: Asked) -> Reply:
        if self._together is not None:
            return await self._together.fetch(asked)
        return (await self._fetcher.fetch(asked))[0]


def _price(endpoint: Endpoint) -> Price | None:
    table = price_table(endpoint.prices)
    price = price_of(endpoint.model, table, on=date.today())
    if price is None and (table or endpoint.budget.money is not None):
        raise ConfigError(
            f"prices must hold one for the model {endpoint.model}, got "
            f"{', '.join(row.model for row in table) or 'none'}. Add "
            f"{{model: {endpoint.model}, input: ..., output: ...}}, 0 for one that is free."
        )
    return price
