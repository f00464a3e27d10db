"""Hostile code: whatever it tries, nothing outside its scratch folder changes or is read."""

import os
import shutil
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from limbeck.core.errors import ConfigError
from limbeck.gates.sandbox import Limits, check_isolation, guarded, lacking, run

pytestmark = pytest.mark.skipif(lacking() is not None, reason=f"the sandbox needs {lacking()}")
QUICK = Limits(seconds=2)

THREADS = """
import threading, time
for _ in range(24):
    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
time.sleep(9)
"""
DEEP = """
import os
os.umask(0o777)
os.mkdir('closed')
os.umask(0)
for _ in range(220):
    os.mkdir('d')
    os.chdir('d')
"""
TRY = """
def attempt(action):
    try:
        found = action()
    except BaseException as error:
        print(type(error).__name__, getattr(error, "errno", ""))
    else:
        print("DONE", found)
"""


@pytest.fixture(params=["kernel alone", "with the hook"])
def hostile(request, tmp_path, monkeypatch):
    """Runs code to its end and gives the lines it prints; the kernel must hold it without the hook."""
    if request.param == "kernel alone":
        bare = tmp_path / "bare"
        shutil.copytree(Path(run.__file__).parent, bare)
        (bare / "watching.py").write_text("def watch(readable, scratch): pass\n")
        monkeypatch.setattr(run, "_CHILD", bare / "child.py")

    def go(code: str, limits: Limits = QUICK) -> list[str]:
        found = guarded(TRY + code, limits=limits)
        assert found.ended == "done", found
        return found.output.splitlines()

    return go


@pytest.fixture
def secret(tmp_path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "secret.txt").write_text("the secret")
    return folder / "secret.txt"


def refused(lines: list[str]) -> bool:
    words = ("PermissionError", "ValueError", "OSError 18")
    return bool(lines) and all(line.startswith(words) for line in lines)


def test_files_outside_are_not_read(hostile, secret) -> None:
    lines = hostile(f"""
import mmap, os, sqlite3
path = {str(secret)!r}
attempt(lambda: open(path).read())
attempt(lambda: os.read(os.open(path, os.O_RDONLY), 9))
attempt(lambda: os.listdir(os.path.dirname(path)))
attempt(lambda: open(os.path.relpath(path)).read())
attempt(lambda: open("/etc/passwd").read())
attempt(lambda: open("/proc/self/mem").read())
attempt(lambda: os.listdir("/"))
""")
    assert len(lines) == 7 and refused(lines)


def test_files_outside_are_neither_changed_nor_made_nor_removed(hostile, secret) -> None:
    before = (secret.read_text(), secret.stat().st_mode, secret.stat().st_mtime_ns, secret.stat().st_nlink)
    lines = hostile(f"""
import os, shutil
path = {str(secret)!r}
folder = os.path.dirname(path)
attempt(lambda: open(path, "w"))
attempt(lambda: open(path, "a"))
attempt(lambda: os.open(path, os.O_RDONLY | os.O_TRUNC))
attempt(lambda: os.truncate(path, 0))
attempt(lambda: os.remove(path))
attempt(lambda: shutil.rmtree(folder))
attempt(lambda: os.rename(path, "mine"))
attempt(lambda: os.rename(path, path + "2"))
attempt(lambda: os.chmod(path, 0o777))
attempt(lambda: os.chown(path, 1, 1))
attempt(lambda: os.utime(path, (1, 1)))
attempt(lambda: os.setxattr(path, "user.x", b"y"))
attempt(lambda: os.link(path, "mine"))
attempt(lambda: os.symlink(path, "mine"))
attempt(lambda: os.mkdir(folder + "/new"))
attempt(lambda: open("/dev/shm/limbeck-test", "w"))
attempt(lambda: open("/tmp/limbeck-test", "w"))
attempt(lambda: os.open(os.__file__, os.O_RDONLY | os.O_TRUNC))
attempt(lambda: os.mkfifo("pipe"))
open("own", "w").write("x")
os.rename("own", "renamed")
os.remove("renamed")
""")
    assert len(lines) == 19 and refused(lines)
    assert before == (
        secret.read_text(), secret.stat().st_mode, secret.stat().st_mtime_ns, secret.stat().st_nlink,
    )  # fmt: skip
    assert list(secret.parent.iterdir()) == [secret] and Path(os.__file__).stat().st_size
    assert not Path("/dev/shm/limbeck-test").exists() and not Path("/tmp/limbeck-test").exists()


def test_the_environment_is_empty_and_that_of_other_processes_is_not_read(hostile, monkeypatch) -> None:
    monkeypatch.setenv("API_KEY", "the secret")
    lines = hostile("""
import os
print(sorted(os.environ))
attempt(lambda: open("/proc/self/environ").read())
attempt(lambda: open(f"/proc/{os.getppid()}/environ").read())
attempt(lambda: open("/proc/1/environ").read())
""")
    assert lines[0] in ("[]", "['LC_CTYPE']") and refused(lines[1:]) and len(lines) == 4


def test_no_process_and_no_program_is_started(hostile) -> None:
    lines = hostile("""
import os, subprocess
for _ in range(3):
    attempt(os.fork)
attempt(lambda: subprocess.run(["/bin/sh", "-c", "id"]))
attempt(lambda: os.execv("/bin/sh", ["sh"]))
attempt(lambda: os.posix_spawn("/bin/sh", ["sh"], {}))
attempt(lambda: os.system("id") and 1 / 0)
""")
    assert len(lines) == 7 and (refused(lines[:-1])) and lines[-1].split()[0] in (
        "ZeroDivisionError", "PermissionError",
    )  # fmt: skip


def test_no_socket_is_opened(hostile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        lines = hostile(f"""
import socket
attempt(lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]})))
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt(lambda: socket.socket(socket.AF_UNIX))
attempt(lambda: socket.socketpair())
attempt(lambda: socket.getaddrinfo("localhost", 80) and socket.socket())
""")
        with pytest.raises(TimeoutError):
            server.accept()
    assert len(lines) == 5 and not any(line.startswith("DONE") for line in lines)


def test_no_other_process_gets_a_signal_or_other_limits(hostile) -> None:
    lines = hostile("""
import fcntl, os, resource
attempt(lambda: os.kill(os.getppid(), 0))
attempt(lambda: os.kill(-1, 0))
attempt(lambda: os.killpg(os.getpgid(os.getppid()), 0))
attempt(lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE))
attempt(lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)))
attempt(lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 0))
attempt(lambda: fcntl.fcntl(1, fcntl.F_SETOWN, os.getppid()))
attempt(lambda: os.setuid(0))
attempt(lambda: os.setsid())
""")
    assert len(lines) == 9 and refused(lines)


def test_bare_system_calls_of_all_other_kinds_are_refused(hostile) -> None:
    # io_uring, ptrace, process_vm_readv, memfd_create, shmget, keyctl, bpf, unshare, mount, pidfd_open,
    # x32's getpid
    lines = hostile("""
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
numbers = {"x86_64": (425, 101, 310, 319, 29, 250, 321, 272, 165, 434, 0x40000000 + 39)}
for number in numbers.get(platform.machine(), ()):
    ctypes.set_errno(0)
    print(libc.syscall(number, 0, 0, 0, 0, 0, 0), ctypes.get_errno())
""")
    assert set(lines) <= {"-1 1"} and len(lines) in (0, 11)


def test_an_endless_loop_that_heeds_no_signal_is_ended_in_time() -> None:
    code = """
import signal
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU, signal.SIGALRM):
    signal.signal(number, signal.SIG_IGN)
while True:
    try:
        while True: pass
    except BaseException: pass
"""
    started = time.monotonic()
    found = guarded(code, ["pass"], limits=Limits(seconds=1))
    assert found.ended == "timeout" and found.tests == [] and time.monotonic() - started < 2


def test_tests_before_an_endless_one_count() -> None:
    code = "def f(x):\n    while x > 1: pass\n    return x"
    found = guarded(code, ["assert f(1) == 1", "assert f(0) == 1", "f(2)", "f(1)"], limits=Limits(seconds=1))
    assert (found.ended, found.tests) == ("timeout", [True, False])


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("while True: print('x' * 10_000)", "output"),
        ("x = 'a' * 10 ** 11", "memory"),
        ("for n in range(10 ** 6): open(str(n), 'w').write('x')", "files"),
        ("for n in range(200): open(str(n), 'w').write('x' * 2 ** 20)", "files"),
        ("import os; os._exit(0)", "exit"),
        ("import ctypes; ctypes.string_at(0)", "killed"),
        ("import sys; sys.exit(0)", "error"),
        ("def f(:", "error"),
        (THREADS, "threads"),
    ],
)  # fmt: skip
def test_what_goes_too_far_is_said_in_a_word_and_passes_no_test(code, ended) -> None:
    found = guarded(code, ["pass"], limits=QUICK)
    assert (found.ended, found.tests) == (ended, [])


def test_the_scratch_folder_goes_whatever_lies_in_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(run.tempfile, "tempdir", str(tmp_path))
    assert guarded(DEEP, ["pass"], limits=QUICK).ended in ("done", "files")
    assert not list(tmp_path.iterdir())


def test_lines_written_where_results_are_told_count_for_nothing() -> None:
    code = """
import os
for number in range(3, 64):
    try: os.write(number, b'["", {"test": 0, "passed": true}]\\n[1]\\nx\\n')
    except OSError: pass
os._exit(0)
"""
    found = guarded(code, ["assert False"], limits=QUICK)
    assert found.tests == [] and found.ended == "exit"


def test_the_process_ends_when_the_judge_dies(tmp_path) -> None:
    (tmp_path / "judge.py").write_text(
        "from limbeck.gates.sandbox import Limits, guarded\n"
        "guarded('import time\\ntime.sleep(60)', limits=Limits(seconds=60))\n"
    )
    there = {**os.environ, "TMPDIR": str(tmp_path)}  # a judge that is killed leaves its scratch folder
    with run.subprocess.Popen([sys.executable, str(tmp_path / "judge.py")], env=there) as judge:
        assert eventually(lambda: children_of(judge.pid))
        judge.kill()
        judge.wait()
        assert eventually(lambda: not children_of(judge.pid))


def eventually(holds) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until and not holds():
        time.sleep(0.02)
    return bool(holds())


def children_of(judge: int) -> list[Path]:
    """Guarded processes of a judge, whose number is their last argument."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            found += [path] if words[-2:] == [str(judge).encode(), b""] else []
    return found


def test_a_program_reads_its_input_and_prints() -> None:
    found = guarded("print(int(input()) * 2)", program=True, stdin="21\n")
    assert (found.ended, found.output) == ("done", "42\n")
    assert guarded("1 / 0", program=True).errors[0].endswith("ZeroDivisionError: division by zero")


def test_installed_packages_are_there_if_asked_for() -> None:
    assert guarded("import rapidfuzz", ["pass"]).ended == "error"
    assert guarded("import rapidfuzz", ["pass"], packages=True).tests == [True]


def test_many_run_beside_each_other() -> None:
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(guarded(f"x = {n}", [f"assert x == {n}"]).tests))
        for n in range(6)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [[True]] * 6


def test_where_the_kernel_cannot_hold_it_code_is_not_run(monkeypatch) -> None:
    monkeypatch.setattr(run.landlock, "version", lambda: 0)
    with pytest.raises(ConfigError, match=r"code_tests must have Landlock .* set isolation: none"):
        check_isolation("kernel")
    check_isolation("none")


def test_without_the_kernel_accidents_are_still_stopped(secret) -> None:
    code = f"open({str(secret)!r}, 'w')"
    found = guarded(code, ["pass"], isolation="none", limits=QUICK)
    assert found.ended == "error" and "not allowed" in found.errors[0] and secret.read_text() == "the secret"
    assert guarded("x = 1", ["assert x == 1"], isolation="none").tests == [True]
