"""A limit on what passes in any window of time, however it is placed."""

from collections import deque


class Window:
    """At most so many units in any stretch of some seconds.

    What passes is remembered with its time, so that the limit holds in every window and not only in those
    that begin on the minute. Something larger than the limit passes alone, through an empty window.
    """

    def __init__(self, limit: int, *, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self._passed: deque[list[float]] = deque()  # [time, units], in order of time
        self._sum = 0.0

    def wait(self, units: float, *, now: float) -> float:
        """Seconds until so many units may pass; 0: now."""
        self._forget(now)
        over = self._sum + min(units, self.limit) - self.limit
        if over <= 0:
            return 0.0
        for when, passed in self._passed:
            over -= passed
            if over <= 0:
                return when + self.seconds - now
        return self.seconds

    def take(self, units: float, *, now: float) -> list[float]:
        """Let units pass, and say which they are: what `settle` is told."""
        entry = [now, units]
        self._passed.append(entry)
        self._sum += units
        return entry

    def settle(self, entry: list[float], units: float) -> None:
        """Say how many units those really were."""
        if self._passed and entry[0] >= self._passed[0][0]:
            self._sum += units - entry[1]
        entry[1] = units

    def _forget(self, now: float) -> None:
        while self._passed and self._passed[0][0] <= now - self.seconds:
            self._sum -= self._passed.popleft()[1]
