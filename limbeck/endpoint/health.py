"""How a server bears what is asked of it: how many calls at once, when none, and when to give up for now."""

import random
from collections.abc import Callable
from dataclasses import dataclass

# Multiplicative decrease: asking a little less is enough, as it goes on falling until it is.
_LESS = 0.7
_COOL = 5.0  # seconds between two decreases: calls that were under way say nothing new

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds, doubled each time nothing comes of it

_WINDOW = 60.0  # seconds without an answer at one call at a time that count as one
_WINDOWS = 5  # of these, until it is given up for now
_PATIENCE = 600.0  # seconds without any answer; also the longest wait that a server may ask for
_NEVER_SEEN = 30.0  # the same where it never answered: most likely there is no server, and a user waits

_STREAK = 8  # failures with no answer in between, after which one call at a time looks whether it is back
_RETRIES, _SHARE = 50, 0.2  # that are free, and for each answer


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why nothing is asked for now: the word that `Paused` has, and a sentence."""

    why: str
    message: str


class Health:
    """What answers and failures say about a server; all workers share it."""

    def __init__(
        self, *, workers: int, clock: Callable[[], float], draw: Callable[[], float] = random.random
    ) -> None:
        self._workers, self._clock, self._draw = workers, clock, draw
        self.limit = float(workers)
        self.closed_until = 0.0
        self._answers = 0
        self._since_raise = 0
        self._decreased = -_COOL
        self._waits = 0
        self._streak = 0
        self._retries = 0
        self._trouble: float | None = None  # since when nothing is answered
        self._floor: float | None = None  # since when one call at a time is not answered

    @property
    def at_once(self) -> int:
        """Calls that may be under way."""
        return 1 if self._streak >= _STREAK else int(self.limit)

    def answered(self) -> None:
        """A call was answered."""
        self._answers += 1
        self._waits = self._streak = 0
        self._trouble = self._floor = None
        if self.limit < self._workers:
            self._since_raise += 1
            if self._since_raise >= self.limit:
                self.limit = min(self.limit + 1, float(self._workers))
                self._since_raise = 0

    def hold(self, seconds: float) -> None:
        """Send nothing for so long."""
        self.closed_until = max(self.closed_until, self._clock() + seconds)

    def turned_away(self, retry_after: float | None) -> GivenUp | None:
        """A call was turned away, as there were too many (429)."""
        now = self._clock()
        if retry_after is not None and retry_after > _PATIENCE:
            return GivenUp("rate", f"The server asks to wait {retry_after:,.0f} seconds.")
        self._hold_or_back_off(retry_after)
        self._ask_less(now)
        self._trouble = now if self._trouble is None else self._trouble
        if self.limit <= 1:
            self._floor = now if self._floor is None else self._floor
            if now - self._floor >= _WINDOW * _WINDOWS:
                return GivenUp(
                    "rate", f"One call at a time had no answer for {now - self._floor:,.0f} seconds."
                )
        if now - self._trouble >= _PATIENCE:
            return GivenUp(
                "rate", f"The server turned every call away for {now - self._trouble:,.0f} seconds."
            )
        return None

    def failed(self, retry_after: float | None, *, overloaded: bool, message: str) -> GivenUp | None:
        """A call had no answer, for a reason that may pass."""
        now = self._clock()
        self._streak += 1
        self._trouble = now if self._trouble is None else self._trouble
        if overloaded:
            self._ask_less(now)
        if retry_after is not None:
            self.hold(min(retry_after, _PATIENCE))
        elif self._streak >= _STREAK:
            self._hold_or_back_off(None)
        patience = _PATIENCE if self._answers else _NEVER_SEEN
        if now - self._trouble >= patience:
            return GivenUp("server", f"It gave no answer for {now - self._trouble:,.0f} seconds: {message}")
        return None

    def retried(self, message: str) -> GivenUp | None:
        """A call is made once more; a server that fails too often is not pressed further."""
        self._retries += 1
        if self._retries > _RETRIES + self._workers + _SHARE * self._answers:
            return GivenUp(
                "server",
                f"{self._retries:,} calls had to be made again for {self._answers:,} answers, the last as: "
                f"{message}",
            )
        return None

    def _hold_or_back_off(self, retry_after: float | None) -> None:
        now = self._clock()
        if retry_after is not None:
            self.hold(retry_after)
        elif now >= self.closed_until:  # those that were under way together wait together
            wait = min(_FIRST_WAIT * 2**self._waits, _LONGEST_WAIT)
            self._waits += 1
            self.hold(wait * (0.75 + 0.25 * self._draw()))

    def _ask_less(self, now: float) -> None:
        if now - self._decreased >= _COOL:
            self.limit = max(1.0, self.limit * _LESS)
            self._decreased = now
            self._since_raise = 0
