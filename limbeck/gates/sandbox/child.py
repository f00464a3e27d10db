"""The guarded process: gives up what it may not use, then runs the code and says which tests passed.

Started as `python -I -S -B child.py JOB REPORT PARENT`: two file descriptors and the process that judges. It
imports nothing but the standard library and its neighbours in this folder.
"""

import json
import os
import sys
import sysconfig
from collections.abc import Callable
from importlib import import_module
from typing import Any

_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/localtime",
    "/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random",
)  # fmt: skip
"""Libraries and time zones, beside the interpreter's own: what Python may have to read while it works."""

Say = Callable[[dict[str, Any]], None]


def main(job_at: int, report_at: int, parent: int) -> None:
    """Read the job, isolate, run."""
    with os.fdopen(job_at, encoding="utf-8") as file:
        job = json.load(file)
    _isolate(job, parent)
    write, dumps, token = os.write, json.dumps, job["token"]

    def say(what: dict[str, Any]) -> None:
        write(report_at, (dumps([token, what]) + "\n").encode())

    if job["program"]:
        _run_program(job)
    else:
        _run_tests(job, say)


def _isolate(job: dict[str, Any], parent: int) -> None:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    landlock, limits, system_calls, watching = map(
        import_module, ("landlock", "limits", "system_calls", "watching")
    )
    sys.path[:1] = []
    sys.path += job["packages"]
    readable = [*_of_interpreter(), *_SYSTEM, *job["packages"]]
    limits.end_with_parent(parent)
    if job["isolated"]:
        # Loaded now: what is imported later may lie where nothing can be read any more.
        import encodings.idna  # noqa: F401

        limits.give_up_privileges()
        limits.set_limits(job["limits"])
        landlock.restrict([*readable, *_loaded()], [job["scratch"]])
        system_calls.restrict()
    else:
        limits.set_limits(job["limits"])
    watching.watch(readable, job["scratch"])


def _of_interpreter() -> list[str]:
    return [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]


def _loaded() -> list[str]:
    """Files of the libraries that are in memory, wherever this Python was built."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        found = {line.split(maxsplit=5)[5].strip() for line in file if line.count("/")}
    return sorted(path for path in found if path.startswith("/"))


def _run_tests(job: dict[str, Any], say: Say) -> None:
    """Set-up, the answer, then each test on what they defined; a test that raises has failed."""
    space: dict[str, Any] = {"__name__": "answer"}
    for part in ("setup", "code"):
        said = _failure(job[part], space, part)
        if said is not None:
            say({"part": part, "error": said})
            return
    for place, test in enumerate(job["tests"]):
        said = _failure(test, space, f"test {place}")
        say({"test": place, "passed": said is None, "error": said or ""})
    say({"done": True})


def _run_program(job: dict[str, Any]) -> None:
    exec(compile(job["code"], "answer", "exec"), {"__name__": "__main__"})


def _failure(source: str, space: dict[str, Any], name: str) -> str | None:
    try:
        exec(compile(source, name, "exec"), space)
    except BaseException as error:  # also SystemExit: an answer that ends the process has not passed
        return f"{type(error).__name__}: {_text(error)}"[:500]
    return None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:
        return ""


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
