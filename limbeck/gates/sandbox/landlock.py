"""Which files a process may read and write, held by Linux itself (Landlock, from 5.13 on, without root).

Stands alone on the standard library: it is imported by the guarded process, which knows no limbeck.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # numbers of the system calls, the same on every machine
_VERSION, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE, _READ, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14

READING = _EXECUTE | _READ | _READ_DIR
WRITING = READING | _WRITE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
"""Neither symbolic links nor sockets, pipes and devices are made."""

_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE

_HANDLED_FILES = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 5: 1 << 16}  # version -> one past its last right
_NETWORK, _SCOPES = 0b11, 0b11  # bind and connect, from 4 on; abstract sockets and signals, from 6 on


def version() -> int:
    """The version of Landlock in this kernel; 0 where there is none."""
    return max(0, _call(_CREATE, None, 0, _VERSION))


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Leave this process, for ever, with these files and those below these folders.

    Raises:
        OSError: the kernel refuses.
    """
    found = version()
    if not found:
        raise OSError("this kernel has no Landlock")
    files = max(end for since, end in _HANDLED_FILES.items() if since <= found) - 1
    fields = [files, *([_NETWORK] if found >= 4 else []), *([_SCOPES] if found >= 6 else [])]
    ruleset = _checked(_CREATE, struct.pack(f"={len(fields)}Q", *fields), 8 * len(fields), 0)
    try:
        for paths, rights in ((readable, READING), (writable, WRITING)):
            for path in paths:
                _allow(ruleset, path, rights & files)
        _checked(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        _checked(_ADD, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _checked(number: int, *arguments: object) -> int:
    found = _call(number, *arguments)
    if found < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return found


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_size_t(one) if isinstance(one, int) else one for one in arguments]
    return int(libc.syscall(ctypes.c_long(number), *given))
