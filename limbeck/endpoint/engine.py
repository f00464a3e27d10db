"""The request engine: asks a teacher behind a wire, and never pays twice for one answer."""

import asyncio
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from limbeck.core.asking import Failure, FailureClass, Paused, Reply, Request, RequestFailed, Usage
from limbeck.core.errors import ConfigError
from limbeck.endpoint.admission import Admission, Pass
from limbeck.endpoint.budgets import Purse
from limbeck.endpoint.codec import decode, encode
from limbeck.endpoint.estimates import estimated_tokens, text_tokens
from limbeck.endpoint.health import GivenUp, Health
from limbeck.endpoint.journal import Journal, Sent
from limbeck.endpoint.keys import canonical, key_of, sent_seed
from limbeck.endpoint.mapping import Mapped, ordered
from limbeck.endpoint.prices import Price, price_of, price_table
from limbeck.endpoint.retries import Tries
from limbeck.endpoint.secret import read_secret
from limbeck.endpoint.settings import Endpoint
from limbeck.endpoint.spend import Most, Spend, Tally
from limbeck.endpoint.structured import Fitting
from limbeck.endpoint.transport import Answer, Transport

Item = TypeVar("Item")
Value = TypeVar("Value")

_AHEAD = 16  # items begun ahead of the oldest that is waited for, for each worker
_BATCHED = 20_000  # requests that wait for batches at once: each is a task of a few kilobytes
_LONGEST = 2_000  # characters of a failure's message that are kept
_REFUSED = 50  # requests that are refused for good, with none answered, until nothing else is asked


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
        self._secret = read_secret(endpoint.api_key_env)
        self._price = _price(endpoint)
        self._count = count_tokens or estimated_tokens
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
        self._workers = max(endpoint.workers, _BATCHED) if endpoint.batch else endpoint.workers
        self._health = Health(workers=self._workers, clock=lambda: asyncio.get_running_loop().time())
        self._admission = Admission(
            self._health,
            Purse(endpoint.budget, self._total),
            requests_per_minute=endpoint.requests_per_minute,
            tokens_per_minute=endpoint.tokens_per_minute,
        )
        self._flights: dict[str, asyncio.Future[Reply | Exception | None]] = {}
        self._saved = Tally()
        self.fitting = Fitting(self._ask)
        self._refused: int | None = 0  # in a row; None once anything was answered

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
        workers = 2 * self._workers
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
            return await self._fetch(request, content, key)
        except (RequestFailed, Paused) as error:
            outcome = error
            raise
        finally:
            del self._flights[key]
            flight.set_result(outcome)

    async def _fetch(self, request: Request, content: bytes, key: str) -> Reply:
        seed = sent_seed(request, key)
        prompt = self._count(request)
        most = Most(prompt, request.max_tokens, self._most(prompt, request.max_tokens))
        tries = Tries(clock=asyncio.get_running_loop().time)
        while True:
            passed = await self._admission.enter(most)
            sent: Sent | None = None
            try:
                sent = await self._journal.begin(key, content, most)
                answer = await self._transport.send(request, seed=seed, timeouts=self.endpoint.timeouts)
                if answer.reply.finish == "interrupted" and tries.left > 1:
                    raise RequestFailed(_INTERRUPTED)
            except RequestFailed as failed:
                assert sent is not None
                pause = await self._failed(sent, passed, tries, self._told(failed.failure, key))
                await asyncio.sleep(pause)
                continue
            except BaseException:
                if sent is not None and self.endpoint.batch:
                    self._journal.left(sent)
                elif sent is not None:
                    self._journal.abandoned(sent)
                self._admission.leave(passed, tokens=None)
                raise
            return await self._answered(sent, passed, answer, request)

    async def _answered(self, sent: Sent, passed: Pass, answer: Answer, request: Request) -> Reply:
        usage = answer.reply.usage
        if not usage.prompt and not usage.completion:  # the server did not say
            usage = Usage(prompt=sent.most.prompt, completion=text_tokens(answer.reply), estimated=True)
        cost = self._cost(usage)
        reply = replace(answer.reply, usage=usage, cost=cost, key=sent.key, from_cache=False)
        committed = self._journal.answered(
            sent, encode(reply), usage=usage, cost=cost, fingerprint=answer.fingerprint
        )
        self._refused = None
        self._health.answered()
        if answer.wait is not None:
            self._health.hold(answer.wait)
        self._admission.leave(passed, tokens=usage.prompt + usage.completion)
        await committed
        return reply

    async def _failed(self, sent: Sent, passed: Pass, tries: Tries, failure: Failure) -> float:
        """Write a failure down and decide what follows: seconds until the next attempt.

        Raises:
            RequestFailed: there is none.
        """
        failure = replace(failure, attempts=tries.count(failure))
        again = tries.again(failure)
        last = (
            not again
            and failure.kind is not FailureClass.TRANSIENT
            and failure.kind is not FailureClass.QUOTA
        )
        usage = _billed(failure, sent.most)
        cost = self._cost(usage)
        committed = self._journal.failed(sent, failure, usage=usage, cost=cost, last=last)
        given_up = self._judge(failure, again=again)
        if given_up is not None:
            self._admission.pause(given_up)
        self._admission.leave(passed, tokens=usage.prompt + usage.completion)
        await committed
        if failure.kind is FailureClass.QUOTA and given_up is not None:
            raise Paused(given_up.why, given_up.message)
        if not again:
            raise RequestFailed(failure)
        return tries.pause(failure)

    def _cost(self, usage: Usage) -> Decimal | None:
        return None if self._price is None else self._price.cost(usage, batched=self.endpoint.batch)

    def _most(self, prompt: int, completion: int) -> Decimal | None:
        if self._price is None:
            return None
        share = self._price.batch if self.endpoint.batch else 1
        return self._price.most(prompt, completion) * share

    def _judge(self, failure: Failure, *, again: bool) -> GivenUp | None:
        """What a failure says about the server; why to stop asking it, if that is what it says."""
        match failure.kind:
            case FailureClass.RATE:
                return self._health.turned_away(failure.retry_after)
            case FailureClass.QUOTA:
                return GivenUp("quota", self._quota_advice(failure))
            case FailureClass.TRANSIENT | FailureClass.MALFORMED:
                overloaded = failure.status in _OVERLOADED or failure.reason == "timeout"
                found = self._health.failed(
                    failure.retry_after, overloaded=overloaded, message=str(failure.message)
                )
                if found is None and again:
                    found = self._health.retried(failure.message)
                return found
            case _:
                return self._refused_for_good(failure)

    def _refused_for_good(self, failure: Failure) -> GivenUp | None:
        if self._refused is None or failure.kind is not FailureClass.PERMANENT:
            return None
        self._refused += 1
        if self._refused < _REFUSED:
            return None
        return GivenUp(
            "server",
            f"The first {self._refused} requests were all refused, the last as {failure.reason}: "
            f"{failure.message} "
            "Mend what it names; what was refused is asked again with retry_failed.",
        )

    def _quota_advice(self, failure: Failure) -> str:
        said = f"{self.endpoint.url} refused: {failure.reason}: {failure.message}"
        if failure.reason == "model_unknown":
            return f"{said} It does not serve the model {self.endpoint.model!r}: name one that it serves."
        if self._secret is None:
            return f"{said} If it needs a key, name the environment variable that holds it by api_key_env."
        return (
            f"{said} Look whether {self._secret.variable} holds the right key and its account has "
            f"something left, "
            "then run the same command again."
        )

    def _told(self, failure: Failure, key: str) -> Failure:
        """A failure as it may be shown and kept."""
        message = failure.message if self._secret is None else self._secret.redacted(failure.message)
        return replace(failure, message=message[:_LONGEST], key=key)


_OVERLOADED = (503, 529)

# A part of an answer is kept only when no attempt brings the whole.
_INTERRUPTED = Failure(FailureClass.TRANSIENT, "interrupted", "the stream of the answer broke off")


def _billed(failure: Failure, most: Most) -> Usage:
    """What a failed call may have cost: nothing where the server said no, else the most that it can."""
    unsaid = failure.kind is FailureClass.MALFORMED or (
        failure.kind is FailureClass.TRANSIENT and failure.status is None and failure.reason != "connect"
    )
    return Usage(prompt=most.prompt, completion=most.completion, estimated=True) if unsaid else Usage()


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
