"""The fault server beside a run: in a thread with a loop of its own, as runs block theirs."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.endpoint.fault_server import FaultServer


@contextmanager
def serving(*arguments: Any, **settings: Any) -> Iterator[FaultServer]:
    """A `FaultServer` that answers until the body is done."""
    loop, server = asyncio.new_event_loop(), FaultServer(*arguments, **settings)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
