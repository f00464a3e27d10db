"""Files that are either whole or absent: written beside their place, then renamed into it."""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_LEFTOVER = re.compile(r"\..+\.\d+\.(part|old)")  # as `_unfinished` names them


def write_text(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the new one, never a part."""
    with beside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused (it is not JSON)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_mapping(path: Path) -> dict[str, Any] | None:
    """A JSON file that holds a mapping; None where there is none, or it is cut off or damaged."""
    try:
        found = read_json(path)
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with one a line, without the lines that a kill or damage left unreadable."""
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def json_checksum(value: Any) -> str:
    """SHA-256, in hex, of plain data as JSON with sorted keys and no spaces."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_checked(path: Path, data: bytes) -> None:
    """Write bytes behind a line with their SHA-256."""
    with beside(path) as temporary:
        temporary.write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)


def read_checked(path: Path) -> bytes | None:
    """What `write_checked` wrote; None where there is nothing, or it is damaged."""
    if not path.is_file():
        return None
    line, _, data = path.read_bytes().partition(b"\n")
    return data if line == hashlib.sha256(data).hexdigest().encode() else None


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A place beside `path` for a file that then takes its place at once; an error leaves nothing there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _unfinished(path, "part")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Fill a new folder through `fill(temporary)` and swap it in for `path` at once.

    After an error nothing is left of it. Two processes must not write one `path` at a time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = _unfinished(path, "part"), _unfinished(path, "old")
    for place in (temporary, old):
        shutil.rmtree(place, ignore_errors=True)
    temporary.mkdir()
    try:
        fill(temporary)
        sync_below(temporary)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def is_leftover(name: str) -> bool:
    """Whether a file of this name is what a killed process has not finished writing, or removing."""
    return _LEFTOVER.fullmatch(name) is not None


def clear_leftovers(folder: Path, *, below: bool = True) -> None:
    """Remove what killed processes left in a folder that this process alone writes to, and `below`."""
    for path in [path for path in folder.glob("**/.*" if below else ".*") if is_leftover(path.name)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync_below(folder: Path) -> None:
    """Make all files below a folder, and their names, durable: a loss of power takes none of them."""
    for path in (*folder.rglob("*"), folder):
        if path.is_file() or path.is_dir():
            _sync(path)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Wait for a lock file and hold it; the system lets go when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where what is slow to compute is kept between runs; `LIMBECK_CACHE` names another place."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "limbeck"
    return Path(os.environ.get("LIMBECK_CACHE") or usual).expanduser()


def _unfinished(path: Path, what: str) -> Path:
    # The process id keeps two processes apart, which write one file at a time: the last one wins.
    return path.with_name(f".{path.name}.{os.getpid()}.{what}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
