"""Processes that compare mathematical texts, each ended and replaced when one comparison takes too long."""

import json
import os
import selectors
import subprocess
import sys
import time
from contextlib import suppress
from threading import Lock
from typing import Any

_STARTING = 60.0  # seconds in which a process must have imported sympy, also on a busy machine

_idle: list["_Comparer"] = []
_lock = Lock()
# Kept between calls: importing sympy takes a second, and a gate is called for every chunk of rows.


def compared(gold: str, text: str, *, seconds: float) -> tuple[bool, str | None, str | None] | None:
    """Whether a text says what is expected, and how both were understood; None after so many seconds."""
    with _lock:
        worker = _idle.pop() if _idle else None
    worker = worker or _Comparer()
    found = worker.ask([gold, text], seconds)
    if found is None:
        worker.end()
        return None
    with _lock:
        _idle.append(worker)
    equal, expected, said = found
    return bool(equal), expected, said


class _Comparer:
    """One process; it ends by itself when its input does, so also when this process dies."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "limbeck.gates.math_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        self._rest = b""
        self.ask(["1", "1"], _STARTING)

    def ask(self, what: Any, seconds: float) -> Any:
        """Its answer; None where it takes longer, or died."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
            line = self._line(time.monotonic() + seconds)
            return None if line is None else json.loads(line)
        return None

    def _line(self, until: float) -> bytes | None:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, until - time.monotonic())):
                    return None
                data = os.read(self._process.stdout.fileno(), 1 << 16)
                if not data:
                    return None
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
