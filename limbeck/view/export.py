"""The page with its data, from what a run or a data file holds."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.errors import Problem, RunFolderError
from limbeck.core.files import write_folder
from limbeck.view.index import IndexColumns
from limbeck.view.plain import plain
from limbeck.view.scripts import as_json, write_packed, write_plain
from limbeck.view.sources import Part, Source, is_run, sources_of

PAGE = Path(__file__).parent / "page"
_DATA = "data"
_RUN = "run"
_INDEXED = 8192  # rows of a file of the index
_ROWS, _CHARACTERS = 512, 1_000_000  # of a file of rows, at most; a longer row has one of its own


@dataclass(frozen=True)
class View:
    """A page that was written.

    Attributes:
        page: its `index.html`.
        rows: that it shows, failures among them.
        steps: that made them; 1 for a file.
    """

    page: Path
    rows: int
    steps: int


def build_view(path: Path, out: Path | None = None) -> View:
    """Write a folder in which `index.html` shows all rows of a run, a folder of rows or a data file.

    Rows are read and written a batch at a time. The same rows make the same bytes.

    Args:
        path: what is shown.
        out: the folder, which is new, empty or an earlier page. None: `view` in a run, else
            `<name>.view` in the current folder.

    Returns:
        The page and how much it shows.

    Raises:
        RunFolderError: there are no rows, or `out` holds something else.
    """
    sources = sources_of(path)
    place = out or (path / "view" if is_run(path) else Path(f"{path.resolve().name}.view"))
    _refuse_other(place)
    made: list[int] = []
    write_folder(place, lambda folder: made.append(_fill(folder, path.resolve().name, sources)))
    return View(place / "index.html", made[0], len(sources))


def _refuse_other(place: Path) -> None:
    is_page = (place / _DATA / f"{_RUN}.js").is_file() and (place / "index.html").is_file()
    if place.exists() and not is_page and (not place.is_dir() or any(place.iterdir())):
        raise RunFolderError(
            Problem(str(place), "must be new, empty or an earlier page, got other files. Choose --out.")
        )


def _fill(folder: Path, name: str, sources: list[Source]) -> int:
    for file in sorted(PAGE.iterdir()):
        shutil.copyfile(file, folder / file.name)
    writing = _Writing(folder / _DATA)
    steps = [writing.take(source) for source in sources]
    writing.close()
    write_plain(
        folder / _DATA,
        _RUN,
        {
            "name": name,
            "rows": writing.rows,
            "steps": steps,
            "index": writing.index,
            "chunks": writing.chunks,
        },
    )
    return writing.rows


class _Writing:
    """Rows on their way into files.

    Attributes:
        rows: taken in so far.
        index: the first row of each file of the index.
        chunks: the first row of each file of rows.
    """

    def __init__(self, folder: Path) -> None:
        self.rows = 0
        self.index: list[int] = []
        self.chunks: list[int] = []
        self._folder = folder
        self._columns = IndexColumns()
        self._chunk: list[str] = []
        self._characters = 0

    def take(self, source: Source) -> dict[str, Any]:
        """Write a source's rows; returns what the page says of it."""
        parts = [self._part(source, part) for part in source.parts]
        told = {"name": source.name, "kind": source.kind, "out": source.out, "parts": parts}
        return told | {name: plain(fact) for name, fact in source.facts.items()}

    def close(self) -> None:
        """Write what is not written yet."""
        self._end_chunk()
        self._end_index()

    def _part(self, source: Source, part: Part) -> dict[str, Any]:
        first = self.rows
        for number, row in enumerate(_plain_rows(part)):
            self._columns.add(row, number=number, status=part.status, samples=source.kind == "generate")
            text = as_json(row)
            if len(self._chunk) == _ROWS or (self._chunk and self._characters + len(text) > _CHARACTERS):
                self._end_chunk()
            self._chunk.append(text)
            self._characters += len(text)
            self.rows += 1
            if len(self._columns) == _INDEXED:
                self._end_index()
        return {"name": part.name, "status": part.status, "first": first, "rows": self.rows - first}

    def _end_chunk(self) -> None:
        if self._chunk:
            write_packed(self._folder, f"rows-{len(self.chunks):05d}", self._chunk)
            self.chunks.append(self.rows - len(self._chunk))
            self._chunk, self._characters = [], 0

    def _end_index(self) -> None:
        if len(self._columns):
            write_packed(self._folder, f"index-{len(self.index):05d}", [as_json(self._columns.plain())])
            self.index.append(self.rows - len(self._columns))
            self._columns = IndexColumns()


def _plain_rows(part: Part) -> Iterator[dict[str, Any]]:
    for row in part.rows():
        yield plain(row)
