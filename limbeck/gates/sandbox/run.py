"""Starts the guarded process, watches it from outside, and ends it."""

import json
import os
import secrets
import selectors
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from limbeck.core.errors import ConfigError
from limbeck.gates.sandbox import landlock, system_calls

Isolation = Literal["kernel", "none"]

_CHILD = Path(__file__).with_name("child.py")
_POLL = 0.05  # seconds between two looks at what the process uses
_REPORT = 1 << 20  # bytes that the report of one process may have
_KEPT = 1 << 14  # bytes of output that are kept


@dataclass(frozen=True)
class Limits:
    """What one process may use.

    Attributes:
        seconds: until it is ended, and of processor time.
        memory: bytes of address space.
        disk: bytes of all files in its scratch folder.
        files: in its scratch folder.
        threads: at a time.
        output: bytes that it may print.
    """

    seconds: int = 10
    memory: int = 1 << 30
    disk: int = 1 << 24
    files: int = 256
    threads: int = 16
    output: int = 1 << 20


@dataclass(frozen=True)
class Outcome:
    """What became of a process.

    Attributes:
        ended: `done`, or why not: timeout, memory, output, files, threads, exit, killed, error.
        tests: for each test that was reached, whether it passed.
        errors: what each of them, or the code itself, raised.
        output: what it printed.
    """

    ended: str
    tests: list[bool] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    output: str = ""


def lacking() -> str | None:
    """What this machine lacks to hold hostile code; None where it has all of it."""
    if sys.platform != "linux":
        return f"Linux, this is {sys.platform}"
    if not system_calls.knows_machine():
        return "a list of system calls for this processor (x86_64 and aarch64 have one)"
    if not landlock.version():
        return "Landlock (Linux 5.13 or newer, enabled)"
    return None


def check_isolation(isolation: Isolation) -> None:
    """Refuse to run foreign code unguarded, unless the user says so.

    Raises:
        ConfigError: says what is missing, and what to do instead.
    """
    found = lacking() if isolation == "kernel" else None
    if found is not None:
        raise ConfigError(
            f"code_tests must have {found} to hold hostile code, got none. Run it on such a machine; or, in "
            "one that may break, set isolation: none, which stops accidents alone."
        )


def guarded(
    code: str,
    tests: Sequence[str] = (),
    *,
    setup: str = "",
    program: bool = False,
    stdin: str = "",
    limits: Limits = Limits(),
    isolation: Isolation = "kernel",
    packages: bool = False,
) -> Outcome:
    """Run code in a process of its own, in an empty folder that is gone afterwards.

    Args:
        code: Python.
        tests: Python that is run after it, piece by piece; what raises has failed.
        setup: Python that is run before it.
        program: run the code as a program that reads `stdin` and prints, without tests.
        stdin: of a program.
        limits: of the process.
        isolation: held by the kernel, or by nothing but limits and Python itself.
        packages: let it import what is installed beside limbeck.
    """
    job = {
        "code": code, "tests": list(tests), "setup": setup, "program": program,
        "limits": asdict(limits), "isolated": isolation == "kernel",
        "packages": [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")] if packages else [],
    }  # fmt: skip
    with _scratch() as folder:
        return _Watched(job, folder, limits, stdin).outcome()


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="limbeck-code-"))
    try:
        yield folder
    finally:
        try:
            shutil.rmtree(folder)
        except (OSError, RecursionError):  # folders in folders beyond what Python goes down
            subprocess.run(["rm", "-rf", "--", str(folder)], check=False, stderr=subprocess.DEVNULL)


class _Watched:
    """One guarded process from its start to its end."""

    def __init__(self, job: dict[str, Any], folder: Path, limits: Limits, stdin: str) -> None:
        self._limits, self._folder = limits, folder
        self._token = secrets.token_hex(16)
        self._seen = {"output": bytearray(), "errors": bytearray(), "report": bytearray()}
        self._why: str | None = None
        self._job = {**job, "scratch": str(folder), "token": self._token}
        self._stdin = stdin

    def outcome(self) -> Outcome:
        process, report = self._start()
        with process, os.fdopen(report, "rb") as file:
            try:
                self._watch(process, file)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)  # its own session: nothing of it is left
                process.wait()
        return self._read(process.returncode)

    def _start(self) -> tuple["subprocess.Popen[bytes]", int]:
        job_out, job_in = os.pipe()
        report_out, report_in = os.pipe()
        command = [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(_CHILD)]
        with tempfile.TemporaryFile() as stdin:
            stdin.write(self._stdin.encode(errors="surrogatepass"))
            stdin.seek(0)
            try:
                process = subprocess.Popen(
                    [*command, str(job_out), str(report_in), str(os.getpid())],
                    stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={},
                    cwd=self._folder, pass_fds=(job_out, report_in), start_new_session=True,
                )  # fmt: skip
            finally:
                os.close(job_out)
                os.close(report_in)
        with suppress(BrokenPipeError), os.fdopen(job_in, "wb") as file:
            file.write(json.dumps(self._job).encode())
        return process, report_out

    def _watch(self, process: "subprocess.Popen[bytes]", report: IO[bytes]) -> None:
        """Read what it says until it ends or breaks a limit."""
        until = time.monotonic() + self._limits.seconds
        with selectors.DefaultSelector() as selector:
            named = ((process.stdout, "output"), (process.stderr, "errors"), (report, "report"))
            for stream, name in named:
                selector.register(stream, selectors.EVENT_READ, name)  # type: ignore[arg-type]
            while self._why is None and selector.get_map():
                left = until - time.monotonic()
                if left <= 0:
                    self._why = "timeout"
                    return
                for key, _ in selector.select(min(left, _POLL)):
                    self._take(key, selector)
                self._why = self._why or self._broken(process.pid)

    def _take(self, key: selectors.SelectorKey, selector: selectors.BaseSelector) -> None:
        data = os.read(key.fd, 1 << 16)
        if not data:
            selector.unregister(key.fileobj)
            return
        self._seen[key.data] += data
        if len(self._seen[key.data]) > (_REPORT if key.data == "report" else self._limits.output):
            self._why = "output"

    def _broken(self, pid: int) -> str | None:
        """The limit that is broken, of those that the kernel does not watch for one process."""
        if _threads(pid) > self._limits.threads:
            return "threads"
        return "files" if _uses_more(self._folder, self._limits) else None

    def _read(self, code: int) -> Outcome:
        said = list(self._said())
        tests = [bool(one["passed"]) for one in said if "test" in one]
        errors = [str(one["error"]) for one in said if "error" in one]
        is_done = any("done" in one for one in said) or (self._job["program"] and code == 0)
        printed = bytes(self._seen["output"][:_KEPT])
        if self._job["program"] and code:
            errors = [bytes(self._seen["errors"]).decode(errors="replace").strip()[-500:]]
        ended = self._why or ("done" if is_done and code == 0 else self._ending(code, errors, said))
        return Outcome(ended, tests, errors, printed.decode(errors="replace"))

    def _ending(self, code: int, errors: Sequence[str], said: Sequence[dict[str, Any]]) -> str:
        text = bytes(self._seen["errors"]).decode(errors="replace")
        if any("MemoryError" in one for one in (*errors, text)):
            return "memory"
        if any("start new thread" in one for one in (*errors, text)):
            return "threads"  # the kernel's limit, which counts what else runs, was met first
        if code == -24:  # SIGXCPU
            return "timeout"
        if code < 0:
            return "killed"
        return "error" if any("part" in one for one in said) or "Traceback" in text else "exit"

    def _said(self) -> Iterator[dict[str, Any]]:
        for line in bytes(self._seen["report"]).splitlines():
            try:
                token, what = json.loads(line)
            except (ValueError, TypeError):
                continue
            if token == self._token and isinstance(what, dict):
                yield what


def _threads(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return 0


def _uses_more(folder: Path, limits: Limits) -> bool:
    """Whether files below a folder are too many or too large; none is followed out of it."""
    count, size, waiting = 0, 0, [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    size += entry.stat(follow_symlinks=False).st_size
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    if count > limits.files or size > limits.disk:
                        return True
        except OSError:
            continue
    return False
