"""What a command left behind: which files, and whether they are those of an undisturbed one."""

import hashlib
from pathlib import Path

_UNCOMPARED = (".lock",)  # a lock file holds the last process


def files_of(folder: Path) -> dict[str, str]:
    """Name -> hash of every file below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(_UNCOMPARED):
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def stable(one: dict[str, str], two: dict[str, str]) -> dict[str, str | None]:
    """What two undisturbed runs agree on: hashes; None where only the name is the same (times, folders)."""
    assert one.keys() == two.keys(), "two undisturbed runs leave the same files"
    return {name: value if two[name] == value else None for name, value in one.items()}


def difference(wanted: dict[str, str | None], folder: Path) -> str:
    """What is not as it should be, in a few words; empty where all is right."""
    found = files_of(folder)
    missing = sorted(wanted.keys() - found.keys())
    more = sorted(found.keys() - wanted.keys())
    other = sorted(name for name, value in wanted.items() if value and found.get(name, value) != value)
    parts = [(missing, "missing"), (more, "left over"), (other, "other")]
    return "; ".join(f"{what}: {', '.join(names[:3])}" for names, what in parts if names)
