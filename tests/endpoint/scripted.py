"""A teacher that is a function: a transport for tests, and an engine around it."""

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed, Usage
from limbeck.endpoint import Answer, Endpoint, Engine, Timeouts

Says = Callable[[Request], Any]


class Scripted:
    """A transport whose answers are what a function of the request says.

    The function returns a text, a `Reply`, an `Answer`, a `Failure` or an exception, or is asynchronous and
    does so later. What was sent, with which seed and when (in the loop's time), is kept in `requests`,
    `seeds` and `times`.
    """

    def __init__(self, says: Says | str = "yes", *, seconds: float = 0.0) -> None:
        self._says, self._seconds = says, seconds
        self.requests: list[Request] = []
        self.seeds: list[int | None] = []
        self.times: list[float] = []
        self.under_way = self.most_under_way = 0
        self.closed = False

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return len(self.requests)

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """Make one call."""
        self.requests.append(request)
        self.seeds.append(seed)
        self.times.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            if self._seconds:
                await asyncio.sleep(self._seconds)
            said = self._says if isinstance(self._says, str) else self._says(request)
            if inspect.isawaitable(said):
                said = await said
        finally:
            self.under_way -= 1
        if isinstance(said, Failure):
            raise RequestFailed(said) from None
        if isinstance(said, BaseException):
            raise said
        if isinstance(said, str):
            said = Reply(said, usage=Usage(prompt=10, completion=len(said.split())), served_model="scripted")
        return said if isinstance(said, Answer) else Answer(said)

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def scripted_engine(transport: Scripted, folder: Path, **settings: Any) -> Engine:
    """An engine whose teacher is scripted; `settings` are of `Endpoint`, but for those of `Engine`."""
    own = {name: settings.pop(name) for name in ("scope", "retry_failed", "count_tokens") if name in settings}
    endpoint = Endpoint(**({"url": "http://127.0.0.1:1/v1", "model": "scripted", "workers": 8} | settings))
    return Engine(endpoint, transport, journal=folder / "journal.sqlite", **own)


def question(text: str = "?", **settings: Any) -> Request:
    """A request of one user turn."""
    return Request(messages=({"role": "user", "content": text},), **settings)


def text_of(request: Request) -> str:
    """What the last turn of a request says."""
    return str(request.messages[-1]["content"])


def rate(retry_after: float | None = None) -> Failure:
    """A rate limit was met."""
    return Failure(FailureClass.RATE, "rate_limit", "too many", status=429, retry_after=retry_after)


def broken(status: int | None = 500, reason: str = "server_error") -> Failure:
    """Something that may pass."""
    return Failure(FailureClass.TRANSIENT, reason, "broken", status=status)


def refused(reason: str = "content_filter") -> Failure:
    """Something that will not pass."""
    return Failure(FailureClass.PERMANENT, reason, "no", status=400)
