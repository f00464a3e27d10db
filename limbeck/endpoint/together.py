"""Several samples of one question in one call, where the server draws them: its prompt is paid for once."""

import asyncio
from dataclasses import replace

from limbeck.core.asking import FailureClass, Reply, RequestFailed
from limbeck.endpoint.fetching import Asked, Fetcher
from limbeck.endpoint.keys import canonical

_MOST = 16  # samples in one call: servers have bounds of their own, few of them lower

# What is refused for a number of samples rather than for what is asked.
_OF_NUMBER = ("few_choices", "bad_request")


class Together:
    """Gathers requests that are asked at the same moment and differ in their sample alone."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._groups: dict[bytes, list[tuple[Asked, asyncio.Future[Reply]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._apart = False  # the server does not draw several after all

    async def fetch(self, asked: Asked) -> Reply:
        """The answer of the teacher; raises as `Fetcher.fetch`."""
        if self._apart:
            return (await self._fetcher.fetch(asked))[0]
        loop = asyncio.get_running_loop()
        question = canonical(replace(asked.request, sample=0), model="")
        group = self._groups.get(question)
        if group is None or len(group) == _MOST:
            group = self._groups[question] = []
            # Behind all that is ready to run now: the other samples of the question are among it.
            loop.call_soon(self._begin, question, group)
        future: asyncio.Future[Reply] = loop.create_future()
        group.append((asked, future))
        return await future

    async def aclose(self) -> None:
        """Wait for no call any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, question: bytes, group: list[tuple[Asked, asyncio.Future[Reply]]]) -> None:
        if self._groups.get(question) is group:
            del self._groups[question]
        self._start(group)

    def _start(self, group: list[tuple[Asked, asyncio.Future[Reply]]]) -> None:
        task = asyncio.get_running_loop().create_task(self._ask(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        for _, future in group:  # a call that nobody waits for is not made
            future.add_done_callback(lambda _: self._left(group, task))

    def _left(self, group: list[tuple[Asked, asyncio.Future[Reply]]], task: asyncio.Task[None]) -> None:
        if all(future.cancelled() for _, future in group):
            task.cancel()

    async def _ask(self, group: list[tuple[Asked, asyncio.Future[Reply]]]) -> None:
        try:
            replies = await self._fetcher.fetch(*(asked for asked, _ in group))
        except RequestFailed as failed:
            if len(group) > 1 and failed.failure.kind is not FailureClass.TRANSIENT:
                self._apart = self._apart or failed.failure.reason in _OF_NUMBER
                for one in group:
                    self._start([one])
                return
            for asked, future in group:
                _fail(future, RequestFailed(replace(failed.failure, key=asked.key)))
        except asyncio.CancelledError:
            for _, future in group:
                future.cancel()
            raise
        except BaseException as error:
            for _, future in group:
                _fail(future, error)
        else:
            for (_, future), reply in zip(group, replies, strict=True):
                if not future.done():
                    future.set_result(reply)


def _fail(future: asyncio.Future[Reply], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
