"""Where rows lie: the steps of a run, a folder of rows, a data file."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from limbeck.core.errors import Problem, RunFolderError
from limbeck.core.files import read_mapping
from limbeck.view.tables import FILES, read_rows

Row = Mapping[str, Any]
Status = Literal["accepted", "rejected", "failed"]

_STEPS, _DONE, _YIELD, _FAILURES, _SPLITS = (
    "steps",
    "done.json",
    "yield.json",
    "failures.jsonl",
    "dataset_dict.json",
)
_STATE = "state.json"
"""In every folder that `datasets` saves."""

_SAID = ("row_id", "reason", "message", "key")
"""Fields of a failure; others are not shown."""


@dataclass(frozen=True)
class Part:
    """Rows that lie together.

    Attributes:
        name: folder or file, as `heldout`.
        status: what became of them.
        path: a folder that `datasets` saved, or a file.
    """

    name: str
    status: Status
    path: Path

    def rows(self) -> Iterator[Row]:
        """All rows, a batch in memory at a time."""
        for row in read_rows(self.path):
            yield {name: row.get(name) for name in _SAID} if self.status == "failed" else row


@dataclass(frozen=True)
class Source:
    """What a step, or a file, has to show.

    Attributes:
        name: of the step's folder, or the file.
        kind: of the step; empty for files.
        out: what the step calls its rows.
        parts: in the order in which they are shown.
        facts: `said`, `seconds`, `notes` and `yield`, as far as the step left them.
    """

    name: str
    kind: str
    out: str
    parts: tuple[Part, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


def is_run(path: Path) -> bool:
    """Whether a folder is one of a run."""
    return (path / "recipe.yaml").is_file() or (path / _STEPS).is_dir()


def sources_of(path: Path) -> list[Source]:
    """All that can be shown of a run, a folder of rows or a data file.

    Raises:
        RunFolderError: there is nothing of that name, or there are no rows in it.
    """
    if not path.exists():
        raise RunFolderError(
            Problem(str(path), "must be a run, a folder of rows or a data file, got nothing of that name.")
        )
    found = _of_run(path) if is_run(path) else _of_data(path)
    if not any(source.parts for source in found):
        accepted = ", ".join(sorted(FILES))
        raise RunFolderError(
            Problem(
                str(path),
                f"must hold rows, got none: no step that made rows, no folder that datasets saved, no file "
                f"that ends in {accepted}. Name another folder, or run a step that makes rows first.",
            )
        )
    return found


def _of_run(path: Path) -> list[Source]:
    folders = sorted((path / _STEPS).glob("*-*-*"), key=_place)
    return [source for source in map(_of_step, folders) if source.parts or "yield" in source.facts]


def _place(folder: Path) -> tuple[int, str]:
    first = folder.name.partition("-")[0]
    return (int(first) if first.isdecimal() else 0, folder.name)


def _of_step(folder: Path) -> Source:
    _, kind, out = folder.name.split("-", 2)
    parts = [
        Part(one.name, "rejected" if one.name == "rejected" else "accepted", one)
        for one in sorted(folder.iterdir(), key=lambda one: (_ORDER.get(one.name, len(_ORDER)), one.name))
        if (one / _STATE).is_file()
    ]
    if (folder / _FAILURES).is_file() and (folder / _FAILURES).stat().st_size:
        parts.append(Part("failures", "failed", folder / _FAILURES))
    done, made = read_mapping(folder / _DONE) or {}, read_mapping(folder / _YIELD)
    facts = {name: done[name] for name in ("said", "seconds", "notes") if done.get(name)}
    return Source(folder.name, kind, out, tuple(parts), facts | ({"yield": made} if made else {}))


_ORDER = {name: place for place, name in enumerate(("train", "rows", "validation", "heldout", "rejected"))}


def _of_data(path: Path) -> list[Source]:
    return [Source(path.name, "", path.name, tuple(_parts_of_data(path)))]


def _parts_of_data(path: Path) -> Iterator[Part]:
    if path.is_file():
        if path.suffix in FILES:
            yield Part(path.name, "accepted", path)
        return
    if (path / _STATE).is_file():
        yield Part(path.name, "rejected" if path.name == "rejected" else "accepted", path)
        return
    if (path / _SPLITS).is_file():
        names = json.loads((path / _SPLITS).read_text(encoding="utf-8"))["splits"]
        yield from (Part(name, "accepted", path / name) for name in names)
        return
    for one in sorted(path.iterdir()):
        if one.is_file() and one.suffix in FILES and one.name != "dataset_info.json":
            yield Part(one.name, "accepted", one)
        elif (one / _STATE).is_file():
            yield Part(one.name, "rejected" if one.name == "rejected" else "accepted", one)
