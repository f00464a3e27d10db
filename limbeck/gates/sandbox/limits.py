"""What a guarded process may use, and the privileges it gives up.

Stands alone on the standard library: it is imported by the guarded process, which knows no limbeck.
"""

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Mapping

_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38
_CAPABILITIES = 0x20080522
_NEW_USER, _NEW_IPC, _NEW_NET = 0x10000000, 0x08000000, 0x40000000
_FILES_OPEN = 64


def set_limits(limits: Mapping[str, int]) -> None:
    """Bound this process: seconds of processor, bytes of memory and of a file, open files; no core dumps."""
    bounds = {
        "RLIMIT_CPU": limits["seconds"] + 1,
        "RLIMIT_AS": limits["memory"],
        "RLIMIT_FSIZE": limits["disk"],
        "RLIMIT_NOFILE": _FILES_OPEN,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    for name, bound in bounds.items():
        number = getattr(resource, name, None)
        if number is None:
            continue
        _, most = resource.getrlimit(number)
        value = bound if most == resource.RLIM_INFINITY else min(bound, most)
        try:
            resource.setrlimit(number, (value, value))
        except (ValueError, OSError):
            if name in ("RLIMIT_AS", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE"):
                continue  # macOS knows some without letting them be set
            raise


def end_with_parent(parent: int) -> None:
    """Die when the process dies that judges (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def give_up_privileges() -> None:
    """No capabilities, no way to get some, no dumps, and no network where the kernel lets it be left."""
    libc = ctypes.CDLL(None, use_errno=True)
    # More than is needed: seccomp refuses sockets already. Not every kernel lets users have namespaces.
    libc.unshare(_NEW_USER | _NEW_NET | _NEW_IPC)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_DUMPABLE, 0, 0, 0, 0)
    if libc.capset(struct.pack("=Ii", _CAPABILITIES, 0), bytes(24)):
        raise OSError(ctypes.get_errno(), f"capset: {os.strerror(ctypes.get_errno())}")
