"""An event loop in which an hour of waiting takes no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_at_once(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; where nothing can be done but wait, the loop's clock is moved on.

    It must not wait for threads or sockets.
    """
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._moved = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._moved

    def move(self, seconds: float) -> None:
        self._moved += seconds


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: _VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("everything waits, and nothing will wake it")
        found = super().select(0)
        if not found and timeout > 0:
            self._loop.move(timeout)
        return found
