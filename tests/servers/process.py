"""Servers as processes, from the environment that `make servers` installs."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PLACE = "LIMBECK_SERVERS"
"""Environment variable with the environment's folder; without it, `.servers` of the checkout."""

_STARTS_WITHIN = 300.0  # seconds; 50 to 75 on two idle cores for vLLM
_ENDS_WITHIN = 30.0


def program(name: str) -> Path:
    """A program of the environment; the test is skipped where there is none."""
    place = Path(os.environ.get(PLACE) or Path(__file__).parents[2] / ".servers") / "bin" / name
    if not place.is_file():
        pytest.skip(f"needs {place}: run `make servers`")
    return place


def free_port() -> int:
    """A port of the loopback that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str], *, health: str, log: Path) -> Iterator[None]:
    """A server until the block ends.

    Args:
        command: that starts it.
        env: variables besides those that are set.
        health: address that answers once it is ready.
        log: file for what it says.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=os.environ | env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(health, process, log)
            yield
        finally:
            # What it started is in its session: all are asked to end, and none is left.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(_ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise RuntimeError(f"the server did not start; the end of {log}: {log.read_text()[-2000:]}")
