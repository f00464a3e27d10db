"""What a finished step made, known by checksums: later steps read nothing that was changed since."""

from collections.abc import Mapping
from pathlib import Path

from limbeck.core.errors import Problem, RunFolderError
from limbeck.core.files import hash_file

UNFINISHED = ("checkpoint", "checkpoint.part", "checkpoint.old", "rollouts")
"""What only an unfinished training needs."""
_RECORDS = ("done.json", "begun.json", "metrics.jsonl")
_STORES = "signals"  # a store has checksums of its own


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that a later step may read, by its name below the step's folder."""
    found = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if file.is_file() and name.parts[0] not in (*_RECORDS, *UNFINISHED, _STORES):
            found[name.as_posix()] = hash_file(file)
    return found


def check_unchanged(folder: Path, made: Mapping[str, str]) -> None:
    """Refuse a finished step of which files were changed or taken away.

    Raises:
        RunFolderError: with one problem for each such file.
    """
    there = checksums(folder)
    problems = [
        Problem(
            str(folder / name),
            f"must be as the step made it, got {'other bytes' if name in there else 'no file'}. Put it back, "
            f"or delete {folder}: the same command then makes this step again.",
        )
        for name, value in made.items()
        if there.get(name) != value
    ]
    if problems:
        raise RunFolderError(problems)
