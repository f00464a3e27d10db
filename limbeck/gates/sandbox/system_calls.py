"""Which system calls a process may make, held by Linux itself (seccomp): a list of what is allowed.

What is not listed fails with EPERM: new processes, programs, sockets, signals to others, changes of owner,
mode, times or attributes, links, shared memory, tracing, mounting, and whatever future kernels bring.

Stands alone on the standard library: it is imported by the guarded process, which knows no limbeck.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator, Mapping, Sequence

# Name -> number on x86_64, number on aarch64 (None: the call is not there).
_ALLOWED: Mapping[str, tuple[int | None, int | None]] = {
    # files that are open
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62),
    "pread64": (17, 67), "pwrite64": (18, 68), "readv": (19, 65), "writev": (20, 66), "preadv": (295, 69),
    "pwritev": (296, 70), "preadv2": (327, 286), "pwritev2": (328, 287), "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24), "fsync": (74, 82), "fdatasync": (75, 83), "ftruncate": (77, 46),
    "fadvise64": (221, 223),
    "fallocate": (285, 47), "sendfile": (40, 71), "copy_file_range": (326, 285), "close_range": (436, 436),
    "pipe": (22, None), "pipe2": (293, 59), "eventfd2": (290, 19), "poll": (7, None), "ppoll": (271, 73),
    "select": (23, None), "pselect6": (270, 72), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, None), "epoll_pwait": (281, 22),
    # names of files, which Landlock looks after
    "stat": (4, None), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48), "faccessat2": (439, 439), "getdents64": (217, 61), "getcwd": (79, 17),
    "chdir": (80, 49), "fchdir": (81, 50), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None),
    "unlinkat": (263, 35),
    "readlink": (89, None), "readlinkat": (267, 78), "umask": (95, 166), "statfs": (137, 43),
    "fstatfs": (138, 44),
    # memory
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216),
    "msync": (26, 227), "mincore": (27, 232), "madvise": (28, 233), "membarrier": (324, 283),
    # signals of its own, time, threads
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pause": (34, None),
    "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133),
    "sigaltstack": (131, 132), "restart_syscall": (219, 128), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "alarm": (37, None),
    "getitimer": (36, 102), "setitimer": (38, 103), "futex": (202, 98), "set_robust_list": (273, 99),
    "get_robust_list": (274, 100), "set_tid_address": (218, 96), "rseq": (334, 293),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123), "getcpu": (309, 168), "arch_prctl": (158, None), "exit": (60, 93),
    "exit_group": (231, 94), "wait4": (61, 260), "waitid": (247, 95),
    # what it is told of itself
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148), "getresgid": (120, 150),
    "getgroups": (115, 158), "getpgrp": (111, None), "getpgid": (121, 155), "getsid": (124, 156),
    "getrlimit": (97, 163), "getrusage": (98, 165), "uname": (63, 160), "sysinfo": (99, 179),
    "getrandom": (318, 278),
}  # fmt: skip

_OPEN, _OPENAT = (2, None), (257, 56)
_CLONE, _CLONE3 = (56, 220), (435, 435)
_IOCTL, _FCNTL, _PRCTL, _PRLIMIT = (16, 29), (72, 25), (157, 167), (302, 261)
_KILL, _TKILL, _TGKILL = (62, 129), (200, 130), (234, 131)

_TERMINAL_AND_FLAGS = (
    0x5401,
    0x5413,
    0x541B,
    0x5421,
    0x5450,
    0x5451,
)  # TCGETS .. FIOCLEX: nothing is changed
_OWN_FILES = (0, 1, 2, 3, 4, 5, 6, 7, 1030, 1032)  # F_DUPFD .. F_SETLKW; not F_SETOWN and F_SETSIG
_NAMES_OF_THREADS = (15, 16)  # PR_SET_NAME, PR_GET_NAME
_CLONE_THREAD, _O_TRUNC, _O_ACCMODE = 0x10000, 0o1000, 0o3

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000  # a second table of x86_64, with calls that this list would not see

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL_PROCESS = 0x7FFF0000, 0x80000000
_NR, _ARCH, _ARGS = 0, 4, 16
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, number


def knows_machine() -> bool:
    """Whether the calls of this machine are in the table."""
    return platform.machine() in _MACHINES


def restrict() -> None:
    """Leave this process and its threads, for ever, with the calls of the list.

    Raises:
        OSError: the kernel refuses.
    """
    program = list(_program(os.getpid(), *_MACHINES[platform.machine()]))
    data = b"".join(struct.pack("=HBBI", *one) for one in program)
    buffer = ctypes.create_string_buffer(data, len(data))
    header = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _SET_SECCOMP, _FILTER, ctypes.c_char_p(header), 0, 0
    ):
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def _program(pid: int, column: int, arch: int) -> Iterator[Instruction]:
    refuse = _refused(errno.EPERM)
    yield _LOAD, 0, 0, _ARCH
    yield _EQUAL, 1, 0, arch
    yield _RETURN, 0, 0, _KILL_PROCESS
    yield _LOAD, 0, 0, _NR
    yield _AT_LEAST, 0, 1, _X32
    yield refuse
    for numbers in _ALLOWED.values():
        if (number := numbers[column]) is not None:
            yield _EQUAL, 0, 1, number
            yield _RETURN, 0, 0, _ALLOW
    for numbers, rule in _rules(pid):
        if (number := numbers[column]) is not None:
            yield _EQUAL, 0, len(rule), number
            yield from rule
    yield refuse


def _rules(pid: int) -> Iterator[tuple[tuple[int | None, int | None], Sequence[Instruction]]]:
    """Calls of which some are allowed, by their arguments; each rule ends with an answer."""
    yield _CLONE3, [_refused(errno.ENOSYS)]  # its flags lie in memory; the C library then takes clone
    yield _CLONE, [(_LOAD, 0, 0, _argument(0)), (_ANY_BIT, 0, 1, _CLONE_THREAD), *_allow_or_refuse()]
    for call, place in ((_OPEN, 1), (_OPENAT, 2)):
        yield call, _opening(place)
    yield _IOCTL, _one_of(1, _TERMINAL_AND_FLAGS, errno.ENOTTY)
    yield _FCNTL, _one_of(1, _OWN_FILES, errno.EPERM)
    yield _PRCTL, _one_of(0, _NAMES_OF_THREADS, errno.EPERM)
    for call in (_KILL, _TKILL, _TGKILL):
        yield call, _one_of(0, (pid,), errno.EPERM)
    yield _PRLIMIT, _asking_for_limits()


def _opening(place: int) -> list[Instruction]:
    """Files that are emptied must be opened for writing: before Landlock 3 it would not notice."""
    return [
        (_LOAD, 0, 0, _argument(place)),
        (_ANY_BIT, 0, 3, _O_TRUNC),
        (_AND, 0, 0, _O_ACCMODE),
        (_EQUAL, 0, 1, 0),
        _refused(errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _asking_for_limits() -> list[Instruction]:
    """Limits may be read, its own alone, and never set."""
    asked = [_argument(0), _argument(2), _argument(2) + 4]  # the process, and both halves of the new value
    checks = [
        one
        for place, at in enumerate(asked)
        for one in ((_LOAD, 0, 0, at), (_EQUAL, 0, 2 * (len(asked) - place) - 1, 0))
    ]
    return [*checks, *_allow_or_refuse()]


def _one_of(place: int, values: Sequence[int], otherwise: int) -> list[Instruction]:
    tests = [(_EQUAL, len(values) - number, 0, value) for number, value in enumerate(values)]
    return [(_LOAD, 0, 0, _argument(place)), *tests, _refused(otherwise), (_RETURN, 0, 0, _ALLOW)]


def _allow_or_refuse() -> list[Instruction]:
    return [(_RETURN, 0, 0, _ALLOW), _refused(errno.EPERM)]


def _refused(number: int) -> Instruction:
    return _RETURN, 0, 0, 0x50000 | number


def _argument(place: int) -> int:
    """Where the lower half of an argument lies; both machines are little-endian."""
    return _ARGS + 8 * place
