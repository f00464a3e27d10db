"""Draws of one question that are asked for at once are one call with n, whose prompt is paid for once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from limbeck.core.asking import FailureClass, Request, RequestFailed
from limbeck.endpoint.keys import request_key
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transport import Answer, ManyTransport, Transport

LINGER = 0.01
"""Seconds in which draws of one question come together: an operator asks for them in one breath."""

MOST = 128
"""Answers of one call that OpenAI allows; servers that allow fewer are learnt from what they refuse."""


@dataclass
class _Waiting:
    """Draws of one question that have come together so far."""

    request: Request
    timeouts: Timeouts
    futures: list[asyncio.Future[Answer]]


class CoalescingTransport:
    """A transport that makes one call of several draws, where none of them has a seed.

    Draws with seeds go out alone: one call has one seed, and which draws come together depends on the moment.
    """

    def __init__(self, inner: Transport, *, linger: float = LINGER, most: int = MOST) -> None:
        """
        Args:
            inner: a transport of which a probe has found that its server draws several answers in one call.
            linger: seconds in which draws come together.
            most: answers of one call.
        """
        assert isinstance(inner, ManyTransport)
        self._many: ManyTransport = inner
        self._inner, self._linger, self._most = inner, linger, most
        self._waiting: dict[str, _Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """One answer, of a call that may bring others."""
        if seed is not None or request.temperature == 0 or self._most < 2:
            return await self._inner.send(request, seed=seed, timeouts=timeouts)
        key = request_key(replace(request, sample=0), model="")
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = _Waiting(request, timeouts, [])
            task = asyncio.create_task(self._later(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiting.futures.append(future)
        return await future

    async def aclose(self) -> None:
        """Closes the inner one; calls under way end with it."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._inner.aclose()

    async def _later(self, key: str) -> None:
        await asyncio.sleep(self._linger)
        waiting = self._waiting.pop(key)
        futures = [future for future in waiting.futures if not future.done()]
        parts = [futures[start : start + self._most] for start in range(0, len(futures), self._most)]
        await asyncio.gather(*(self._part(waiting, part) for part in parts))

    async def _part(self, waiting: _Waiting, futures: Sequence[asyncio.Future[Answer]]) -> None:
        request, timeouts = waiting.request, waiting.timeouts
        try:
            answers = await self._many.send_many(request, seeds=[None] * len(futures), timeouts=timeouts)
        except RequestFailed as failed:
            if failed.failure.reason == "few_choices":
                self._most = 1  # n is ignored after all: what is tried again goes out alone
            if len(futures) > 1 and _refused(failed):
                self._most = min(self._most, (len(futures) + 1) // 2)
                halves = (futures[: len(futures) // 2], futures[len(futures) // 2 :])
                await asyncio.gather(*(self._part(waiting, half) for half in halves))
                return
            _fail(futures, failed)
        except BaseException as error:
            _fail(futures, error)
            raise
        else:
            for future, answer in zip(futures, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _refused(failed: RequestFailed) -> bool:
    """Whether a server may have refused a call for its n alone; then nothing was drawn, nor billed."""
    failure = failed.failure
    return failure.kind is FailureClass.PERMANENT and failure.reason in ("bad_request", "unsupported")


def _fail(futures: Sequence[asyncio.Future[Answer]], error: BaseException) -> None:
    for future in futures:
        if future.done():
            continue
        if isinstance(error, Exception):
            future.set_exception(error)
        else:
            future.cancel()
