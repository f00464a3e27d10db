"""A hook on Python's own events: a further layer, and the only one where isolation is `none`.

It stops accidents and says why. Code that means harm gets round it: what holds such code is the kernel.
Stands alone on the standard library: it is imported by the guarded process, which knows no limbeck.
"""

import os
import sys
from collections.abc import Sequence
from os.path import realpath, sep
from typing import Any

_NEVER = (
    "os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.kill", "os.killpg",
    "os.chmod", "os.chown", "os.link", "os.symlink", "os.setxattr", "os.removexattr", "os.utime",
    "subprocess.Popen", "socket.", "pty.spawn", "signal.pthread_kill", "syslog.", "winreg.",
    "ftplib.", "smtplib.", "urllib.Request", "webbrowser.open", "sqlite3.enable_load_extension",
)  # fmt: skip
_WRITES = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree", "shutil.move",
)  # fmt: skip
_READS = ("os.listdir", "os.scandir", "os.chdir", "os.listxattr", "os.getxattr")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(readable: Sequence[str], scratch: str) -> None:
    """Refuse, for ever, what reaches beyond the scratch folder and what may be read."""
    free = (realpath(scratch),)
    seen = (*free, *map(realpath, readable))

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            places = free if isinstance(flags, int) and flags & _WRITING and path != os.devnull else seen
            if isinstance(path, str | bytes):
                _check(path, places, event)
        elif event in _WRITES or event in _READS:
            for one in arguments:
                if isinstance(one, str | bytes):
                    _check(one, free if event in _WRITES else seen, event)
        elif event.startswith(_NEVER):
            raise PermissionError(f"{event} is not allowed in code that is judged")

    sys.addaudithook(refuse)


def _check(path: str | bytes, places: Sequence[str], event: str) -> None:
    full = realpath(os.fsdecode(path))
    if not any(full == place or full.startswith(place.rstrip(sep) + sep) for place in places):
        raise PermissionError(f"{event} of {full} is not allowed in code that is judged")
