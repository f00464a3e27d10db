"""Asking the teacher for one answer: as often as it takes, until there is one, a failure, or a pause."""

import asyncio
from collections.abc import Callable, Sequence
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
from limbeck.endpoint.spend import ZERO, Most
from limbeck.endpoint.transport import Answer, ManyTransport, Transport

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

    async def fetch(self, *asked: Asked) -> tuple[Reply, ...]:
        """The answers of the teacher.

        Args:
            asked: one request, or several that differ in their sample alone and are drawn in one call.

        Raises:
            RequestFailed: there are none; several at once are then given up at once, and may be asked apart.
            Paused: nothing can be asked now.
        """
        seeds = [sent_seed(one.request, one.key) for one in asked]
        mosts = self._mosts(asked)
        together = Most(mosts[0].prompt, sum(most.completion for most in mosts), _sum(mosts))
        tries = Tries(clock=asyncio.get_running_loop().time)
        while True:
            passed = await self._admission.enter(together)
            sent: list[Sent] = []
            try:
                sent = await self._begun(asked, mosts)
                answers = await self._sent(asked, seeds)
                if tries.left > 1 and any(answer.reply.finish == "interrupted" for answer in answers):
                    raise RequestFailed(_INTERRUPTED)
            except RequestFailed as failed:
                await asyncio.sleep(await self._failed(sent, passed, tries, failed.failure))
                continue
            except BaseException:
                for one in sent:
                    (self._journal.left if self._endpoint.batch else self._journal.abandoned)(one)
                self._admission.leave(passed, tokens=None)
                raise
            return await self._answered(sent, passed, answers)

    def _mosts(self, asked: Sequence[Asked]) -> list[Most]:
        """The most that each can take; a prompt that all share is read once."""
        found = []
        for number, one in enumerate(asked):
            prompt = 0 if number else self._count(one.request)
            completion = one.request.max_tokens
            found.append(Most(prompt, completion, self._most(prompt, completion)))
        return found

    async def _begun(self, asked: Sequence[Asked], mosts: Sequence[Most]) -> list[Sent]:
        begun = [
            self._journal.begin(one.key, one.content, most) for one, most in zip(asked, mosts, strict=True)
        ]
        return [await begun[0]] if len(begun) == 1 else await asyncio.gather(*begun)

    async def _sent(self, asked: Sequence[Asked], seeds: Sequence[int | None]) -> tuple[Answer, ...]:
        request, timeouts = asked[0].request, self._endpoint.timeouts
        if len(asked) == 1:
            return (await self._transport.send(request, seed=seeds[0], timeouts=timeouts),)
        assert isinstance(self._transport, ManyTransport)
        return await self._transport.send_many(request, seeds=seeds, timeouts=timeouts)

    async def _answered(
        self, sent: Sequence[Sent], passed: Pass, answers: Sequence[Answer]
    ) -> tuple[Reply, ...]:
        replies: list[Reply] = []
        tokens = 0
        for one, answer in zip(sent, answers, strict=True):
            usage = answer.reply.usage
            if not usage.prompt and not usage.completion:  # the server did not say
                usage = Usage(prompt=one.most.prompt, completion=text_tokens(answer.reply), estimated=True)
            tokens += usage.prompt + usage.completion
            cost = self._cost(usage)
            reply = replace(answer.reply, usage=usage, cost=cost, key=one.key, from_cache=False)
            committed = self._journal.answered(
                one,
                encode(reply),
                usage=usage,
                cost=cost,
                fingerprint=answer.fingerprint,
                calls=0 if replies else 1,
            )
            replies.append(reply)
            if answer.wait is not None:
                self._admission.health.hold(answer.wait)
        self._refused = None
        self._admission.health.answered()
        self._admission.leave(passed, tokens=tokens)
        await committed
        return tuple(replies)

    async def _failed(self, sent: Sequence[Sent], passed: Pass, tries: Tries, failure: Failure) -> float:
        """Write a failure down and decide what follows: seconds until the next attempt.

        Raises:
            RequestFailed: there is none.
        """
        failure = replace(self._told(failure), attempts=tries.count(failure), key=sent[0].key)
        passes = failure.kind in (FailureClass.TRANSIENT, FailureClass.RATE, FailureClass.QUOTA)
        # What several at once were refused may be answered one by one: it is no request's own failure.
        apart = len(sent) > 1 and not passes
        again = tries.again(failure) and not apart
        tokens = 0
        for number, one in enumerate(sent):
            usage = _billed(failure, one.most)
            tokens += usage.prompt + usage.completion
            committed = self._journal.failed(
                one,
                failure,
                usage=usage,
                cost=self._cost(usage),
                last=not (again or apart or passes),
                calls=0 if number else 1,
            )
        given_up = None if apart else self._judge(failure, again=again)
        if given_up is not None:
            self._admission.pause(given_up)
        self._admission.leave(passed, tokens=tokens)
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
            f"{failure.message.rstrip(' .')}. Mend what it names; what was refused is asked again "
            "with retry_failed.",
        )

    def _quota_advice(self, failure: Failure) -> str:
        told = failure.message.rstrip(" .")
        said = f"{self._endpoint.url} refused: {failure.reason}: {told}."
        if failure.reason == "model_unknown":
            return (
                f"{said} It does not serve the model {self._endpoint.model!r}: let it serve that, or name "
                "another one, which is another run."
            )
        if self._secret is None:
            return f"{said} If it needs a key, name the environment variable that holds it by api_key_env."
        return (
            f"{said} Look whether {self._secret.variable} holds the right key and its account has "
            "something left, then run the same command again."
        )

    def _told(self, failure: Failure) -> Failure:
        """A failure as it may be shown and kept."""
        message = failure.message if self._secret is None else self._secret.redacted(failure.message)
        return replace(failure, message=message[:_LONGEST])


def _sum(mosts: Sequence[Most]) -> Decimal | None:
    costs = [most.cost for most in mosts if most.cost is not None]
    return sum(costs, ZERO) if costs else None


def _billed(failure: Failure, most: Most) -> Usage:
    """What a failed call may have cost: nothing where the server said no, else the most that it can."""
    unsaid = failure.kind is FailureClass.MALFORMED or (
        failure.kind is FailureClass.TRANSIENT and failure.status is None and failure.reason != "connect"
    )
    return Usage(prompt=most.prompt, completion=most.completion, estimated=True) if unsaid else Usage()
