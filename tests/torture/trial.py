"""One command in a process of its own, forked from this one: libraries are imported once for all trials."""

import errno
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND
_CHANGES = ("rename", "mkdir", "remove", "rmdir", "truncate")
_EVENTS = (*(f"os.{name}" for name in _CHANGES), "shutil.rmtree", "shutil.copyfile")
INTERRUPTED = 130
LONGEST = 120.0  # seconds: what takes longer hangs


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (below 0: the signal), what it said, and how long it took."""

    code: int
    said: str
    seconds: float


def run(
    command: list[str],
    log: Path,
    *,
    before: Callable[[], None] = lambda: None,
    meanwhile: Callable[[int], None] = lambda process: None,
) -> Ended:
    """Run a command line to its end.

    Args:
        command: its words.
        log: gets what it prints.
        before: called in the new process first.
        meanwhile: called here with its process id.
    """
    started = time.perf_counter()
    process = os.fork()
    if process == 0:
        _work(command, log, before)
    meanwhile(process)
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            break
        if time.perf_counter() - started > LONGEST:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.005)
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, log.read_text(encoding="utf-8", errors="replace"), time.perf_counter() - started)


def _work(command: list[str], log: Path, before: Callable[[], None]) -> None:
    code: object = 70
    try:
        with log.open("wb") as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        sys.argv = command
        from limbeck.cli.main import main
        from limbeck.runs import execute

        # Drawing takes longer than all else; its one write is like the others.
        execute.write_report = lambda run: (run.path / "report.html").touch()  # type: ignore[assignment]
        before()
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except KeyboardInterrupt:  # before the command began
        code = INTERRUPTED
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                continue
        os._exit(code if isinstance(code, int) else 1)


def at_event(folder: Path, act: Callable[[int], None]) -> Callable[[], None]:
    """Calls `act(n)` before the n-th event (from 0) at which Python changes something below `folder`."""

    def watch() -> None:
        count = [0]
        # In the mapping of a hook nothing may be watched: `act` may itself write.
        busy = [False]

        def seen(event: str, arguments: tuple[object, ...]) -> None:
            if busy[0] or not (event == "open" or event in _EVENTS):
                return
            if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITING):
                return
            places = [os.fsdecode(one) for one in arguments if isinstance(one, str | bytes | os.PathLike)]
            if any(place.startswith(str(folder)) for place in places):
                busy[0] = True
                try:
                    act(count[0])
                finally:
                    count[0] += 1
                    busy[0] = False

        sys.addaudithook(seen)

    return watch


def counting(folder: Path, into: Path) -> Callable[[], None]:
    """Keeps in a file how many events there were."""
    return at_event(folder, lambda number: into.write_text(str(number + 1)) and None)


def killed_at(folder: Path, wanted: int) -> Callable[[], None]:
    """Dies before the event."""

    def act(number: int) -> None:
        if number == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return at_event(folder, act)


def refused_at(folder: Path, wanted: int, number: int = errno.ENOSPC) -> Callable[[], None]:
    """From the event on, the disk refuses whatever would make something."""

    def act(count: int) -> None:
        if count == wanted:
            raise OSError(number, os.strerror(number), str(folder))

    return at_event(folder, act)


def limited_to(size: int) -> Callable[[], None]:
    """No file may grow beyond so many bytes, whichever library writes it."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def signalled(number: int, within: float, moments: random.Random) -> Callable[[int], None]:
    """Sends a signal at a random moment."""

    def send(process: int) -> None:
        time.sleep(moments.uniform(0, within))
        os.kill(process, number)

    return send
