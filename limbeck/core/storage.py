"""What a disk refuses, in words: no room, no permission, a folder that has gone."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limbeck.core.errors import LimbeckError, ResourceError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
_BROKEN = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV})
# Libraries in Rust and Arrow say the number in their text; torch's writer of archives says none.
_NUMBER = re.compile(r"(?:os error|errno:?) (\d+)", re.IGNORECASE)
_ARCHIVE = re.compile(r"PytorchStreamWriter|unexpected pos|iostream|basic_ios", re.IGNORECASE)
_AGAIN = "run the same command again: what is finished is kept, and it goes on where it stopped."


@contextmanager
def storage_said(folder: Path | None = None) -> Iterator[None]:
    """Say in words what the disk refused to anything inside.

    Args:
        folder: that is written to; what is no longer there was taken away while it was used.

    Raises:
        ResourceError: instead of what the system or a library raised.
    """
    try:
        yield
    except LimbeckError:
        raise
    except Exception as error:
        said = storage_problem(error, folder)
        if said is None:
            raise
        raise ResourceError(said) from error


def storage_problem(error: BaseException, folder: Path | None = None) -> str | None:
    """What the disk refused, in a sentence, and what to do; None where an error has another cause."""
    for one in _chain(error):
        said = _problem(one, folder)
        if said is not None:
            return said
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those it came from, the first cause last."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _problem(error: BaseException, folder: Path | None) -> str | None:
    number, text = _number(error), str(error)
    if number is None:
        if isinstance(error, RuntimeError) and _ARCHIVE.search(text):
            why = text.strip().split("\n")[0]
            return (
                f"disk must have room for what is written, got none for a file of torch ({why}). Free some "
                f"space and {_AGAIN}"
            )
        return None
    place, why = _place(error), os.strerror(number)
    if number in _FULL:
        return (
            f"disk must have room for {place or 'what is written'}, got: {why}. Free some space and {_AGAIN}"
        )
    if number in _REFUSED:
        return (
            f"{place or 'what is read and written'} must be open to this user, got: {why}. Change its "
            f"permissions, or choose another folder with --out; then {_AGAIN}"
        )
    if number in _BROKEN:
        return f"disk must be sound, got: {why}{place and f' at {place}'}. Look at the disk, then {_AGAIN}"
    if number in _GONE and folder is not None and _was_removed(folder, place):
        return (
            f"run folder must stay where it is while it is used, got none at {place or folder}: it was moved "
            f"or removed. Leave {folder} alone and {_AGAIN}"
        )
    return None


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _NUMBER.search(str(error))
    return int(found.group(1)) if found else None


def _place(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    return os.fsdecode(name) if isinstance(name, str | bytes) else ""


def _was_removed(folder: Path, place: str) -> bool:
    return not folder.exists() or (bool(place) and folder.resolve() in Path(place).resolve().parents)
