"""A transport whose calls go out by the batch, and which may die between a batch and its answers."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from limbeck.core.asking import Failure, FailureClass, Request, RequestFailed
from limbeck.endpoint.batch.book import Batch, Book
from limbeck.endpoint.batch.form import Asked, BatchForm, State
from limbeck.endpoint.keys import request_key
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transport import Answer

LINGER = 2.0
"""Seconds without another request until a batch goes out: all that can be asked has been by then."""

PACE = 60.0
"""Seconds between two looks at a batch; providers answer within a day, mostly within an hour."""

ROUNDS = 5
"""Batches that one request may go through without being tried, until that is its failure."""

_TOGETHER = 1000  # results that are written in one transaction
_GONE = 404  # of a batch that the provider no longer knows


class BatchTransport:
    """Gathers requests into batches, and finds their answers by their keys.

    Which request is in which batch is written into the journal before the batch begins. A process that died
    finds its batches again and pays for none of them twice; results that nobody has asked for yet are kept.
    What a batch did not try (it expired, was cancelled, or left a row out) goes into the next one, alone.

    Attributes:
        submitted: how many batches this process has begun.
    """

    def __init__(
        self,
        form: BatchForm,
        *,
        model: str,
        journal: Path,
        label: str = "",
        linger: float = LINGER,
        pace: float = PACE,
    ) -> None:
        """
        Args:
            form: the provider's batches.
            model: as the server names it; with `label` part of every key.
            journal: file that keeps which request is where.
            label: which weights these are.
            linger: seconds without another request until a batch goes out.
            pace: seconds between two looks at a batch.
        """
        self._form, self._model, self._label = form, model, label
        self._linger, self._pace = linger, pace
        self._book = Book(journal)
        self._queue: dict[str, Asked] = {}
        self._rounds: dict[str, int] = {}
        self._waiting: dict[str, asyncio.Future[Failure | None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched_tags: set[str] = set()
        self._recovered: asyncio.Task[None] | None = None
        self.submitted = 0

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """The answer to one request of a batch; it may take a day."""
        key = request_key(request, model=self._model, label=self._label)
        await self._recovery()
        while True:
            if self._book.holds(key):
                failure = await self._answered(key)
            else:
                failure = await self._queued(key, self._form.asked(key, request, seed))
            if failure is not None:
                raise RequestFailed(failure)
            result = self._book.result(key)
            outcome = None if result is None else self._form.outcome(result, request)
            if isinstance(outcome, Failure):
                self._book.forget(key)
                raise RequestFailed(outcome)
            if outcome is not None:
                self._rounds.pop(key, None)
                return Answer(outcome)
            self._again(key)

    async def aclose(self) -> None:
        """Lets go of the batches; they go on, and are found again."""
        tasks = [*self._tasks, *([self._recovered] if self._recovered else [])]
        if self._timer is not None:
            self._timer.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._book.close()
        await self._form.aclose()

    async def _recovery(self) -> None:
        """Once a process: finds the batches that an earlier one began, and watches over them."""
        if self._recovered is None:
            self._recovered = asyncio.create_task(self._recover())
        try:
            await asyncio.shield(self._recovered)
        except RequestFailed:
            self._recovered = None  # nobody could be asked: the next request tries again
            raise

    async def _recover(self) -> None:
        for batch in self._book.open():
            if batch.tag in self._watched_tags:
                continue
            found = batch.id or await self._form.find(batch.tag, count=batch.count, since=batch.intended)
            if found is None:  # it was never begun
                self._book.drop(batch.tag)
                continue
            self._watched_tags.add(batch.tag)
            self._spawn(self._watched(self._book.begun(batch, found)))

    async def _answered(self, key: str) -> Failure | None:
        """Waits for the result of a request that is in a batch."""
        if self._book.result(key) is not None:
            return None
        return await self._future(key)

    async def _queued(self, key: str, asked: Asked) -> Failure | None:
        """Waits for the result of a request that goes into the next batch."""
        self._queue[key] = asked
        if len(self._queue) >= self._form.most:
            self._flush()
        else:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._flush)
        return await self._future(key)

    async def _future(self, key: str) -> Failure | None:
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(future)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        queued, self._queue = list(self._queue.values()), {}
        for asked in _split(queued, most=self._form.most, most_bytes=self._form.most_bytes):
            self._spawn(self._submit(asked))

    async def _submit(self, asked: Sequence[Asked]) -> None:
        keys = [one.key for one in asked]
        batch = self._book.intend(keys)
        try:
            found = await self._form.submit(asked, batch.tag)
        except RequestFailed as failed:
            looked_for = await self._looked_for(batch, failed.failure)
            if looked_for is None:
                self._book.drop(batch.tag)
                self._settle(keys, failed.failure)
                return
            found = looked_for
        self.submitted += 1
        await self._watched(self._book.begun(batch, found))

    async def _looked_for(self, batch: Batch, failure: Failure) -> str | None:
        """The id of a batch of which nobody knows whether it was begun."""
        if failure.status is not None:
            return None
        with contextlib.suppress(RequestFailed):
            return await self._form.find(batch.tag, count=batch.count, since=batch.intended)
        return None

    async def _watched(self, batch: Batch) -> None:
        """Looks at a batch until it has ended, and hands its results on."""
        assert batch.id is not None
        while True:
            try:
                state = await self._form.state(batch.id)
                if state.ended:
                    await self._ended(batch, state)
                    return
            except RequestFailed as failed:
                if failed.failure.status == _GONE:  # what it did not answer is asked again
                    self._settle(self._book.drop(batch.tag), None)
                    return
                if failed.failure.kind not in (FailureClass.TRANSIENT, FailureClass.RATE):
                    self._settle(self._book.unanswered(batch.tag), failed.failure)
                    return
            await asyncio.sleep(self._pace)

    async def _ended(self, batch: Batch, state: State) -> None:
        kept: list[tuple[str, Any]] = []
        async for found in self._form.results(state):
            kept.append(found)
            if len(kept) == _TOGETHER:
                self._settle(self._book.keep(kept), None)
                kept = []
        self._settle(self._book.keep(kept), None)
        # What has no result was not tried: whoever waits for it sees that, and asks again.
        self._settle(self._book.drop(batch.tag), state.failure)

    def _again(self, key: str) -> None:
        """Lets a request go into another batch.

        Raises:
            RequestFailed: that has happened too often.
        """
        self._book.forget(key)
        self._rounds[key] = self._rounds.get(key, 0) + 1
        if self._rounds[key] >= ROUNDS:
            message = f"{ROUNDS} batches ended without trying this request."
            raise RequestFailed(Failure(FailureClass.TRANSIENT, "batch", message))

    def _settle(self, keys: Sequence[str], failure: Failure | None) -> None:
        for key in keys:
            future = self._waiting.pop(key, None)
            if future is not None and not future.done():
                future.set_result(failure)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # a mistake of ours, or of the disk: whoever waits must know
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(error)
            self._waiting.clear()


def _split(asked: Sequence[Asked], *, most: int, most_bytes: int) -> list[list[Asked]]:
    """Requests of one group each, within the limits of a batch."""
    batches: list[list[Asked]] = []
    for group in sorted({one.group for one in asked}):
        size, current = 0, list[Asked]()
        for one in (one for one in asked if one.group == group):
            if current and (len(current) == most or size + len(one.line) > most_bytes):
                batches.append(current)
                size, current = 0, []
            current.append(one)
            size += len(one.line)
        batches.append(current)
    return batches
