"""Ctrl-C and SIGTERM: remembered until the step in hand is finished and saved."""

import signal
import threading
from types import FrameType, TracebackType


class Interruption:
    """While entered, the first Ctrl-C or SIGTERM only sets `asked`; the second acts at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, signal.Handlers | object] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
