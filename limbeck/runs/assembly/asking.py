"""Teachers that are asked: an engine for each, which keeps what was answered."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from limbeck.core.asking import Reply, Request
from limbeck.core.errors import ConfigError, Problem
from limbeck.endpoint import Endpoint, Engine
from limbeck.recipes.teachers import Teacher
from limbeck.runs.assembly.asked import Asking
from limbeck.runs.assembly.journals import journal_of
from limbeck.runs.steps.context import StepContext

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """A teacher that is asked: an `Ask` with the engine behind it.

    Attributes:
        teacher: as the recipe names it.
        way: how its form is asked.
        engine: that keeps its answers.
    """

    teacher: Teacher
    way: Asking
    engine: Engine

    async def __call__(self, request: Request) -> Reply:
        """The answer to a request, with the teacher's own settings in it."""
        return await self.engine.ask(self.prepared(request))

    def prepared(self, request: Request) -> Request:
        """The request as it is sent and kept."""
        return self.way.request_of(self.teacher, request)

    @property
    def workers(self) -> int:
        """Requests that may be under way: what waits for a batch are many more than calls at once."""
        return self.engine.workers

    @property
    def currency(self) -> str | None:
        """Of its price, if it has one."""
        return self.engine.spending().currency


@asynccontextmanager
async def open_asks(teachers: Mapping[str, Teacher], work: StepContext) -> AsyncIterator[dict[str, Asked]]:
    """Teachers by name, ready to be asked; those that are one model at one server share an engine.

    Raises:
        ConfigError: a key or a price is missing.
        StoreError: another process writes to a journal.
    """
    from limbeck.runs.assembly.teachers import ASKED_TEACHERS  # whose forms write by means of this module

    engines: dict[Path, Engine] = {}
    async with AsyncExitStack() as stack:
        found = {}
        for name, teacher in teachers.items():
            way = ASKED_TEACHERS[type(teacher)]
            endpoint = way.endpoint_of(teacher, work)
            journal = journal_of(endpoint, work.run.path)
            if journal in engines and _identity(engines[journal].endpoint) != _identity(endpoint):
                message = f"must be a file of its own for each teacher, got {journal} for two. Name another."
                raise ConfigError(Problem(f"teachers.{name}.journal", message))
            if journal not in engines:
                engine = Engine(
                    endpoint,
                    way.transport_of(teacher, work),
                    journal=journal,
                    scope=str(work.run.path.resolve()),
                    retry_failed=bool(getattr(teacher, "retry_failed", False)),
                    count_tokens=way.counter_of(teacher),
                )
                engines[journal] = await stack.enter_async_context(engine)
            found[name] = Asked(teacher, way, engines[journal])
        yield found


def _identity(endpoint: Endpoint) -> tuple[str, ...]:
    """What makes two parts of a recipe the same teacher."""
    return endpoint.url, endpoint.model, endpoint.label, endpoint.api


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, run to its end here; also where a notebook's event loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _beside(work)


def _beside(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own; an interruption of this one ends the work in an orderly way."""
    runner, result, failed = asyncio.Runner(), list[T](), list[BaseException]()

    def run() -> None:
        with runner:
            try:
                result.append(runner.run(work))
            except BaseException as error:
                failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        loop = runner.get_loop()
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join()
        raise
    if failed:
        raise failed[0]
    return result[0]
