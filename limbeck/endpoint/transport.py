"""What carries one call to a teacher and brings its answer back; it keeps, waits for and retries nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from limbeck.core.asking import Reply, Request
from limbeck.endpoint.settings import Timeouts


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call brought back.

    Attributes:
        reply: without `key`, `cost` and `from_cache`, which the engine fills in.
        wait: seconds before the server takes another call, if it said that nothing remains until then
            (`x-ratelimit-remaining-*` at 0 and the matching `-reset-*`).
        fingerprint: of the weights or configuration that answered, if the server tells one.
    """

    reply: Reply
    wait: float | None = None
    fingerprint: str = ""


class Transport(Protocol):
    """Carries calls to one teacher.

    It is called from one event loop by many tasks at once. It makes exactly one attempt: a client's own
    retries are switched off, as an attempt that nobody sees is an attempt that nobody counts.
    """

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """Make one call.

        Args:
            request: what is asked. Its `seed` and `sample` are not sent.
            seed: that is sent instead, in [0, 2**31); None: none is.
            timeouts: how long to wait for what, in seconds.

        Raises:
            RequestFailed: there is no answer. Its failure has kind, reason and message, and status and
                `retry_after` where the server told them. It is raised `from None`, and no text in it holds a
                key.
        """

    async def aclose(self) -> None:
        """Let go of connections and processes."""


@runtime_checkable
class ManyTransport(Protocol):
    """A transport whose server draws several answers to one prompt in one call, and bills the prompt once."""

    async def send_many(
        self, request: Request, *, seeds: Sequence[int | None], timeouts: Timeouts
    ) -> tuple[Answer, ...]:
        """Make one call for `len(seeds)` answers; fewer are an error of kind MALFORMED.

        Raises:
            RequestFailed: as `send`.
        """
