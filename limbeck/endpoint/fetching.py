"""Asking the teacher for one answer: as often as it takes, until there is one, a failure, or a pause."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from limbeck.core.asking import Failure, FailureClass, Paused, Reply, Request, RequestFailed, Usage
from limbeck.endpoint.admission import Admission, Pass
from limbeck.endpoint.codec import encode
from limbeck.endpoint.estimates import text_tokens
from limbeck.endpoint.health import GivenUp
from limbeck.endpoint.journal import Journal, Sent
from limbeck.endpoint.keys import sent_seed
from limbeck.endpoint.prices import Price
from limbeck.endpoint.retries import Tries
from limbeck.endpoint.secret import Secret
from limbeck.endpoint.settings import Endpoint
from limbeck.endpoint.spend import Most
from limbeck.endpoint.transport import Answer, Transport

_LONGEST = 2_000  # characters of a failure's message that are kept
_REFUSED = 50  # requests that are refused for good, with none answered, until nothing else is asked
_OVERLOADED = (503, 529)

# A part of an answer is kept only when no attempt brings the whole.
_INTERRUPTED = Failure(FailureClass.TRANSIENT, "interrupted", "the stream of the answer broke off")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with its canonical form and its key."""

    request: Request
    content: bytes
    key: str


class Fetcher:
    """Makes attempts through the door that all share, and writes each of them down."""

    def __init__(
        self,
        endpoint: Endpoint,
        transport: Transport,
        journal: Journal,
        admission: Admission,
        *,
        price: Price | None,
        secret: Secret | None,
        count_tokens: Callable[[Request], int],
    ) -> None:
        self._endpoint, self._transport = endpoint, transport
        self._journal, self._admission = journal, admission
        self._price, self._secret, self._count = price, secret, count_tokens
        self._refused: int | None = 0  # requests so far; None once anything was answered

    async def fetch(self, asked: Asked) -> Reply:
        """The answer of the teacher.

        Raises:
            RequestFailed: it has none.
            Paused: nothing can be asked now.
        """
        request, key = asked.request, asked.key
        seed = sent_seed(request, key)
        prompt = self._count(request)
        most = Most(prompt, request.max_tokens, self._most(prompt, request.max_tokens))
        tries = Tries(clock=asyncio.get_running_loop().time)
        while True:
            passed = await self._admission.enter(most)
            sent: Sent | None = None
            try:
                sent = await self._journal.begin(key, asked.content, most)
                answer = await self._transport.send(request, seed=seed, timeouts=self._endpoint.timeouts)
                if answer.reply.finish == "interrupted" and tries.left > 1:
                    raise RequestFailed(_INTERRUPTED)
            except RequestFailed as failed:
                assert sent is not None
                pause = await self._failed(sent, passed, tries, self._told(failed.failure, key))
                await asyncio.sleep(pause)
                continue
            except BaseException:
                if sent is not None and self._endpoint.batch:
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
        self._admission.health.answered()
        if answer.wait is not None:
            self._admission.health.hold(answer.wait)
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
        return None if self._price is None else self._price.cost(usage, batched=self._endpoint.batch)

    def _most(self, prompt: int, completion: int) -> Decimal | None:
        if self._price is None:
            return None
        share = self._price.batch if self._endpoint.batch else 1
        return self._price.most(prompt, completion) * share

    def _judge(self, failure: Failure, *, again: bool) -> GivenUp | None:
        """What a failure says about the server; why to stop asking it, if that is what it says."""
        match failure.kind:
            case FailureClass.RATE:
                return self._admission.health.turned_away(failure.retry_after)
            case FailureClass.QUOTA:
                return GivenUp("quota", self._quota_advice(failure))
            case FailureClass.TRANSIENT | FailureClass.MALFORMED:
                overloaded = failure.status in _OVERLOADED or failure.reason == "timeout"
                found = self._admission.health.failed(
                    failure.retry_after, overloaded=overloaded, message=str(failure.message)
                )
                if found is None and again:
                    found = self._admission.health.retried(failure.message)
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
            f"{failure.message} Mend what it names; what was refused is asked again with retry_failed.",
        )

    def _quota_advice(self, failure: Failure) -> str:
        said = f"{self._endpoint.url} refused: {failure.reason}: {failure.message}"
        if failure.reason == "model_unknown":
            return f"{said} It does not serve the model {self._endpoint.model!r}: name one that it serves."
        if self._secret is None:
            return f"{said} If it needs a key, name the environment variable that holds it by api_key_env."
        return (
            f"{said} Look whether {self._secret.variable} holds the right key and its account has "
            "something left, then run the same command again."
        )

    def _told(self, failure: Failure, key: str) -> Failure:
        """A failure as it may be shown and kept."""
        message = failure.message if self._secret is None else self._secret.redacted(failure.message)
        return replace(failure, message=message[:_LONGEST], key=key)


def _billed(failure: Failure, most: Most) -> Usage:
    """What a failed call may have cost: nothing where the server said no, else the most that it can."""
    unsaid = failure.kind is FailureClass.MALFORMED or (
        failure.kind is FailureClass.TRANSIENT and failure.status is None and failure.reason != "connect"
    )
    return Usage(prompt=most.prompt, completion=most.completion, estimated=True) if unsaid else Usage()
