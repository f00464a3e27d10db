"""Ctrl-C, SIGTERM and SIGHUP: remembered until the step in hand is finished and saved."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """What was asked for while `listening`."""

    def __init__(self) -> None:
        self.asked = False

    def note(self) -> None:
        """The first signal is remembered; the second acts at once."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def listening() -> Iterator[Interruption]:
    """While entered, the first signal to stop only sets `asked`; the second acts at once."""
    interruption = Interruption()
    with stopping(interruption.note):
        yield interruption


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at Ctrl-C, SIGTERM and SIGHUP; under `nohup`, which ignores SIGHUP, it stays ignored."""
    before = {}

    def heard(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _speak_to_nobody()
        stop()

    if threading.current_thread() is threading.main_thread():
        for number in STOPPING:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _speak_to_nobody() -> None:
    """The terminal has gone: what is still said would be an error, and cost the work."""
    with open(os.devnull, "w") as nobody:  # noqa: PTH123
        for stream in (sys.stdout, sys.stderr):
            try:
                if stream.isatty():
                    os.dup2(nobody.fileno(), stream.fileno())
            except (OSError, ValueError):  # no file behind it
                continue
