"""An event loop in a thread of its own, for work that goes on while this thread computes."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """A running loop; `open_loop` makes one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def finished(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns; other work of the loop goes on meanwhile, and afterwards."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def each(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items one by one; they are let go of when they are not read to their end."""

        async def following() -> tuple[T] | None:
            try:
                return (await anext(items),)
            except StopAsyncIteration:
                return None

        try:
            while (found := self.finished(following())) is not None:
                yield found[0]
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                self.finished(close())


@contextmanager
def open_loop() -> Iterator[Loop]:
    """A loop until the block ends, also where another one runs in this thread already, as in a notebook."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="asking", daemon=True)
    thread.start()
    try:
        yield Loop(loop)
    finally:
        asyncio.run_coroutine_threadsafe(_cancelled(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancelled() -> None:
    """Ends what is under way: after an interruption, a question that nobody waits for."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
