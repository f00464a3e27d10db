"""Templates are programs of strangers: a limit on the time and memory of what runs inside a block."""

import ctypes
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

MOST_SECONDS = 10.0
"""That a template may take for one text; official chat templates take a few milliseconds."""

MOST_BYTES = 2 << 30
"""Of memory that it may take beyond what there was before."""


class TooLong(BaseException):
    """Thrown into a template that does not end; not an Exception, which a template's code could catch."""


@contextmanager
def limited() -> Iterator[None]:
    """Limit what is done inside in time and memory.

    Raises:
        TooLong: it took more than `MOST_SECONDS`.
        MemoryError: it needed more than `MOST_BYTES`, where the system can tell.
    """
    _MEMORY.enter()
    try:
        _WATCH.enter()
        yield
        _WATCH.leave()
    finally:
        _MEMORY.leave()
        _WATCH.leave()


class _Memory:
    """The limit of the process, which is lifted when the last of several threads has left its template."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.before = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def enter(self) -> None:
        """Count from what the process holds now."""
        with self.lock:
            if not self.inside:
                self.before = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (_allowed(*self.before), self.before[1]))
            self.inside += 1

    def leave(self) -> None:
        """As it was before, if this was the last one."""
        with self.lock:
            self.inside -= 1
            if not self.inside:
                resource.setrlimit(resource.RLIMIT_AS, self.before)


class _Watch:
    """A thread that throws `TooLong` into another one that has not left a template in time.

    One thread watches all templates: to start one for each takes longer than most of them.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ends: dict[int, float] = {}  # thread -> when it must have left
        self.thrown: set[int] = set()
        self.thread: threading.Thread | None = None

    def enter(self) -> None:
        """This thread runs a template now."""
        with self.lock:
            self.ends[threading.get_ident()] = time.monotonic() + MOST_SECONDS
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._look, name="templates", daemon=True)
                self.thread.start()

    def leave(self) -> None:
        """It has ended; what was thrown and has not arrived is taken back."""
        me = threading.get_ident()
        with self.lock:
            self.ends.pop(me, None)
            if me in self.thrown:
                self.thrown.discard(me)
                _raise_in(me, None)

    def _look(self) -> None:
        idle = 0.0
        while idle < _IDLE_SECONDS:
            pause = min(_LONGEST_PAUSE, MOST_SECONDS / 4)
            time.sleep(pause)
            with self.lock:
                idle = 0.0 if self.ends else idle + pause
                now = time.monotonic()
                for thread in [one for one, end in self.ends.items() if end < now]:
                    del self.ends[thread]
                    self.thrown.add(thread)
                    _raise_in(thread, TooLong)
                if idle >= _IDLE_SECONDS:
                    self.thread = None


_IDLE_SECONDS, _LONGEST_PAUSE = 5.0, 0.25
_MEMORY, _WATCH = _Memory(), _Watch()


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Let an exception happen in a thread; None takes back one that has not happened yet."""
    wanted = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted)


def _allowed(soft: int, hard: int) -> int:
    """Bytes of address space that this process may have."""
    held = _held(int(time.monotonic() / _LONGEST_PAUSE))
    if held is None:  # another system: only time is limited there
        return soft
    return min([held + MOST_BYTES, *(one for one in (soft, hard) if one != resource.RLIM_INFINITY)])


@lru_cache(maxsize=1)
def _held(moment: int) -> int | None:
    """Bytes of address space of this process; looked at once a `moment`, as it takes a tenth of a ms."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize()
