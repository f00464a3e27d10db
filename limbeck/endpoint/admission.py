"""The one door through which every call goes: how many at once and a minute, when, within which budget."""

import asyncio
from collections import deque
from dataclasses import dataclass

from limbeck.core.asking import Paused
from limbeck.endpoint.budgets import Purse
from limbeck.endpoint.health import GivenUp, Health
from limbeck.endpoint.spend import Most
from limbeck.endpoint.windows import Window

_MINUTE = 60.0
_SLACK = 1.0  # seconds that a minute is longer here: calls may arrive closer together than they were sent


@dataclass(slots=True)
class Pass:
    """A call that was let through."""

    most: Most
    tokens: list[float] | None = None  # its entry in the window of tokens


class Admission:
    """Lets calls through in the order in which they came."""

    def __init__(
        self, health: Health, purse: Purse, *, requests_per_minute: int | None, tokens_per_minute: int | None
    ) -> None:
        self.health, self.purse = health, purse
        self.under_way = 0
        self.paused: GivenUp | None = None
        self._requests = _window(requests_per_minute)
        self._tokens = _window(tokens_per_minute)
        self._waiting: deque[tuple[asyncio.Future[Pass], Most]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    async def enter(self, most: Most) -> Pass:
        """Wait until a call may be made.

        Raises:
            Paused: none may for now.
        """
        loop = asyncio.get_running_loop()
        if self.paused is None and not self._waiting and self._may(most, loop.time()) == 0.0:
            return self._let(most, loop.time())
        future: asyncio.Future[Pass] = loop.create_future()
        entry = (future, most)
        self._waiting.append(entry)
        self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.leave(future.result(), tokens=0)
            raise

    def leave(self, passed: Pass, *, tokens: int | None) -> None:
        """A call is over; what it cost is among what was spent.

        Args:
            tokens: that it took; None: nobody knows.
        """
        self.under_way -= 1
        self.purse.release(passed.most)
        if passed.tokens is not None and self._tokens is not None and tokens is not None:
            self._tokens.settle(passed.tokens, tokens)
        if self._waiting:
            self._pump()

    def pause(self, given_up: GivenUp) -> None:
        """Let nothing through any more; what is under way goes on."""
        if self.paused is None:
            self.paused = given_up
        self._pump()

    def _may(self, most: Most, now: float) -> float | None:
        """Seconds until a call may be made; 0: now; None: when another is over."""
        if self.under_way >= self.health.at_once:
            return None
        if self.purse.exceeded(most) is not None:
            return None
        wait = self.health.closed_until - now
        if self._requests is not None:
            wait = max(wait, self._requests.wait(1, now=now))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(most.tokens, now=now))
        return max(wait, 0.0)

    def _let(self, most: Most, now: float) -> Pass:
        self.under_way += 1
        self.purse.reserve(most)
        if self._requests is not None:
            self._requests.take(1, now=now)
        return Pass(most, None if self._tokens is None else self._tokens.take(most.tokens, now=now))

    def _pump(self) -> None:
        """Let through those in front, as far as it goes."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            future, most = self._waiting[0]
            if future.done():  # no longer waited for
                self._waiting.popleft()
                continue
            exceeded = self.purse.exceeded(most) if self.under_way == 0 else None
            if exceeded is not None and self.paused is None:
                self.paused = GivenUp("budget", f"{exceeded}. {_HIGHER}")
            if self.paused is not None:
                self._waiting.popleft()
                future.set_exception(Paused(self.paused.why, self.paused.message))
                continue
            wait = self._may(most, loop.time())
            if wait is None:
                return
            if wait > 0.0:
                self._wake_in(wait)
                return
            self._waiting.popleft()
            future.set_result(self._let(most, loop.time()))

    def _wake_in(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._pump)


_HIGHER = "Run the same command with a higher budget: what was answered is kept."


def _window(limit: int | None) -> Window | None:
    return None if limit is None else Window(limit, seconds=_MINUTE + _SLACK)
