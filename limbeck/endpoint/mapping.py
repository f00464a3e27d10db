"""Work on many items at once, in a bounded number, with results in the order of the items."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from limbeck.core.asking import Failure, Paused, RequestFailed

Item = TypeVar("Item")
Value = TypeVar("Value")

_BREATH = 32  # items that a worker takes before others have a turn, where nothing had to be waited for


@dataclass(frozen=True, slots=True)
class Mapped(Generic[Item, Value]):
    """What came of one item: a value, or the failure that its work ended with."""

    item: Item
    value: Value | None = None
    failure: Failure | None = None


async def ordered(
    items: Iterable[Item] | AsyncIterable[Item],
    work: Callable[[Item], Awaitable[Value]],
    *,
    workers: int,
    ahead: int,
) -> AsyncIterator[Mapped[Item, Value]]:
    """Do work on each item and give the results in the order of the items.

    Items are taken one by one as there is room: neither they nor their results ever lie in memory as a whole.

    Args:
        items: may be endless.
        work: what is done with an item. A `RequestFailed` is this item's result; anything else ends it all.
        workers: items that are worked on at a time.
        ahead: items that may be begun while the result of an earlier one is waited for.

    Raises:
        Paused: once all results before the item that met it were given.
    """
    crew: _Crew[Item, Value] = _Crew(items, work, ahead=ahead)
    tasks = [asyncio.create_task(crew.worker()) for _ in range(workers)]
    try:
        async for result in crew.results(tasks):
            yield result
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Crew(Generic[Item, Value]):
    """What the workers of one mapping share."""

    def __init__(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        work: Callable[[Item], Awaitable[Value]],
        *,
        ahead: int,
    ) -> None:
        self._work, self._ahead = work, ahead
        self._sync: Iterator[Item] | None = None
        self._async: AsyncIterator[Item] | None = None
        if isinstance(items, AsyncIterable):
            self._async = aiter(items)
        else:
            self._sync = iter(items)
        self._turn = asyncio.Lock()  # an asynchronous iterator gives one item at a time
        self._done: dict[int, Mapped[Item, Value]] = {}
        self._begun = self._given = 0
        self._ready, self._room = asyncio.Event(), asyncio.Event()
        self._over = False
        self._error: BaseException | None = None

    async def worker(self) -> None:
        """Take items until there are none."""
        count = 0
        try:
            while not self._over:
                if self._begun - self._given >= self._ahead:
                    self._room.clear()
                    await self._room.wait()
                    continue
                if self._sync is not None:
                    item = next(self._sync)
                    number = self._begun
                    self._begun += 1
                else:
                    assert self._async is not None
                    async with self._turn:
                        if self._over:
                            return
                        item = await anext(self._async)
                        number = self._begun
                        self._begun += 1
                self._done[number] = await self._one(item)
                if number == self._given:
                    self._ready.set()
                count += 1
                if count % _BREATH == 0:
                    await asyncio.sleep(0)
        except (StopIteration, StopAsyncIteration):
            self._end(None)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._end(error)

    async def results(self, tasks: list[asyncio.Task[None]]) -> AsyncIterator[Mapped[Item, Value]]:
        """What came of the items, in their order."""
        while True:
            while (result := self._done.pop(self._given, None)) is not None:
                self._given += 1
                self._room.set()
                yield result
            if self._error is not None and not isinstance(self._error, Paused):
                raise self._error
            if self._over and all(task.done() for task in tasks) and self._given not in self._done:
                if self._error is not None:
                    raise self._error
                return
            self._ready.clear()
            if self._over:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                tasks = [task for task in tasks if not task.done()]
            else:
                await self._ready.wait()

    async def _one(self, item: Item) -> Mapped[Item, Value]:
        try:
            return Mapped(item, await self._work(item))
        except RequestFailed as failed:
            return Mapped(item, failure=failed.failure)

    def _end(self, error: BaseException | None) -> None:
        """Take no more items; those that are begun go on, unless an error ends them."""
        self._over = True
        if error is not None and (self._error is None or isinstance(self._error, Paused)):
            self._error = error
        self._ready.set()
        self._room.set()
