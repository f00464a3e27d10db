"""The one function through which operators, judges and writers reach a teacher."""

from typing import Protocol

from limbeck.core.asking.reply import Reply
from limbeck.core.asking.request import Request


class Ask(Protocol):
    """Asks one teacher.

    The same request, asked again, has the same answer and costs nothing: what was answered is kept. So an
    operator that was killed is run again from its start, and goes on where it stopped.
    """

    async def __call__(self, request: Request) -> Reply:
        """The answer to a request.

        Raises:
            RequestFailed: this request has no answer; others may.
            Paused: nothing more can be asked now; the same command goes on later.
        """
