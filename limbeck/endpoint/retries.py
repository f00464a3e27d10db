"""Whether one request is tried again, and after how long."""

import random
from collections.abc import Callable

from limbeck.core.asking import Failure, FailureClass

_ATTEMPTS = 6  # of one request, those that were turned away by a rate limit not counted
_MALFORMED = 2  # times that an answer which is none is asked for again
_SECONDS = 600.0  # in which it is tried
_FIRST, _LONGEST = 0.5, 60.0  # seconds of the pauses between


class Tries:
    """The attempts at one request."""

    def __init__(self, *, clock: Callable[[], float], draw: Callable[[], float] = random.random) -> None:
        self._clock, self._draw = clock, draw
        self._began: float | None = None
        self._attempts = self._malformed = 0

    def count(self, failure: Failure) -> int:
        """One more attempt failed; how many that counts."""
        self._began = self._clock() if self._began is None else self._began
        if failure.kind is not FailureClass.RATE:
            self._attempts += 1
        if failure.kind is FailureClass.MALFORMED:
            self._malformed += 1
        return self._attempts

    @property
    def left(self) -> int:
        """Attempts that may still fail before it is given up."""
        return _ATTEMPTS - self._attempts if self._in_time else 0

    @property
    def _in_time(self) -> bool:
        return self._began is None or self._clock() - self._began < _SECONDS

    def again(self, failure: Failure) -> bool:
        """Whether it is tried again."""
        if failure.kind is FailureClass.RATE:
            return True
        if failure.kind is FailureClass.TRANSIENT:
            return self.left > 0
        return failure.kind is FailureClass.MALFORMED and self._malformed <= _MALFORMED

    def pause(self, failure: Failure) -> float:
        """Seconds until then; after a rate limit the gate that all share is the pause."""
        if failure.kind is FailureClass.RATE:
            return 0.0
        # Drawn from the whole range, so that calls that failed together do not come back together.
        return self._draw() * min(_LONGEST, _FIRST * 2 ** (self._attempts - 1))
