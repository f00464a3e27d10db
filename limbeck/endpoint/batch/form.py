"""What a provider's batch API must be able to do."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from limbeck.core.asking import Failure, Reply, Request


@dataclass(frozen=True, slots=True)
class State:
    """How far a batch is.

    Attributes:
        ended: nothing more will come of it; what it did not answer can be asked again.
        why: it ended, in the provider's word: `completed`, `expired`, `cancelled` ...
        failure: of the batch as a whole, such as an input that was refused.
        results: where its results are, in the provider's terms.
    """

    ended: bool
    why: str = ""
    failure: Failure | None = None
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it stands in a batch: the key under which its answer is kept, its group and its JSON line.

    Only requests of one group may share a batch: OpenAI's are of one path.
    """

    key: str
    group: str
    line: bytes


class BatchForm(Protocol):
    """Batches of one provider.

    Attributes:
        most: requests in one batch.
        most_bytes: of their lines together.
    """

    most: int
    most_bytes: int

    def asked(self, key: str, request: Request, seed: int | None) -> Asked:
        """A request as a line of a batch."""

    async def submit(self, asked: Sequence[Asked], tag: str) -> str:
        """Begins a batch; its id.

        Raises:
            RequestFailed: it was not begun, or nobody knows (`find` does).
        """

    async def find(self, tag: str, *, count: int, since: float) -> str | None:
        """The id of a batch that was begun with a tag before this process died; None: it was not.

        Args:
            tag: that it was begun with.
            count: of its requests.
            since: seconds since 1970 when it was about to be begun.
        """

    async def state(self, batch: str) -> State:
        """How far a batch is."""

    def results(self, state: State) -> AsyncIterator[tuple[str, Any]]:
        """Key and result of each request that has one, in any order."""

    def outcome(self, result: Any, request: Request) -> Reply | Failure | None:
        """What a result says; None: that the request was not tried, and can be asked again."""

    async def aclose(self) -> None:
        """Closes connections."""
