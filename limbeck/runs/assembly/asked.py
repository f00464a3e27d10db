"""Teachers that are asked one request at a time: what an `elicit` step asks of a form that gives text."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from limbeck.core.asking import Request
from limbeck.endpoint import Endpoint, Transport
from limbeck.runs.steps.context import StepContext
from limbeck.runs.steps.look import Look


class Asking(Protocol):
    """How a form of teacher is asked: a module of `teachers`. `teacher` is of that form."""

    def check_asked(self, at: Look, teacher: Any, path: str) -> None:
        """Refuse, before anything is spent, what could not be asked; `path` is its place in the step."""

    def endpoint_of(self, teacher: Any, work: StepContext) -> Endpoint:
        """What the request engine is to know of it. Model and label say which answers it shares."""

    def transport_of(self, teacher: Any, work: StepContext) -> Transport:
        """What carries the calls; it loads what it needs with the first one."""

    def request_of(self, teacher: Any, request: Request) -> Request:
        """A request as this teacher is asked it, with the teacher's own settings."""

    def counter_of(self, teacher: Any) -> Callable[[Request], int] | None:
        """Tokens of a prompt, as budgets and limits count it before it is sent; None: estimated."""

    def check_requests(self, at: Look, teacher: Any, requests: Sequence[Request], path: str) -> None:
        """Refuse what it is known not to do with some requests; `path` is its place in the step."""

    def said_of_cost(self, at: Look, teacher: Any, requests: Sequence[Request], calls: int) -> list[str]:
        """Sentences on what so many calls cost, if they are like some requests."""
