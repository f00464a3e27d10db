"""Rows that come one after another, written to a folder of Arrow files without being held in memory."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, concatenate_datasets

from limbeck.core.errors import RowError
from limbeck.core.files import write_folder
from limbeck.core.lineage import FIELDS

_PER_PART = 1024  # rows in memory at most


class KeptRows:
    """Rows of one folder; columns and their types are those of all rows together, and of `FIELDS`."""

    def __init__(self, parts: Path) -> None:
        """Args: parts: a folder for what comes, gone when the rows are finished; emptied first."""
        self._parts = parts
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        self._waiting: list[Mapping[str, Any]] = []
        self._schemas: list[pa.Schema] = []
        self.count = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row behind the others."""
        self._waiting.append(row)
        self.count += 1
        if len(self._waiting) == _PER_PART:
            self._flush()

    def finish(self, folder: Path) -> None:
        """Write all rows as a data set, whole or not at all."""
        self._flush()
        schema = _joined(self._schemas)
        files = [self._with_schema(place, schema) for place in range(len(self._schemas))]
        rows = concatenate_datasets([Dataset.from_file(str(file)) for file in files]) if files else _none()
        # Without a shard of its own an empty data set could be written but not read.
        shards = None if len(rows) else 1
        write_folder(folder, lambda place: rows.save_to_disk(str(place), num_shards=shards))
        shutil.rmtree(self._parts)

    def _flush(self) -> None:
        if not self._waiting:
            return
        with _one_type():
            table = pa.Table.from_pylist(_alike(self._waiting))
        with pa.OSFile(str(self._parts / f"{len(self._schemas):08d}.ipc"), "wb") as file:
            _write(table, file)
        self._schemas.append(table.schema)
        self._waiting = []

    def _with_schema(self, place: int, schema: pa.Schema) -> Path:
        """A part again, with the columns and types of all."""
        source, target = self._parts / f"{place:08d}.ipc", self._parts / f"{place:08d}.arrow"
        with pa.memory_map(str(source)) as file:
            rows = pa.ipc.open_stream(file).read_all().to_pylist()
        with pa.OSFile(str(target), "wb") as file:
            _write(pa.Table.from_pylist(rows, schema=schema), file)
        source.unlink()
        return target


def _write(table: pa.Table, file: Any) -> None:
    with pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)


def _alike(rows: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows that all have all columns: Arrow reads the names of columns from the first row alone."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]


def _joined(schemas: list[pa.Schema]) -> pa.Schema:
    """All columns, in the order in which they came; lineage behind what the student reads."""
    with _one_type():
        found = pa.unify_schemas(schemas, promote_options="permissive") if schemas else pa.schema([])
    own = [field for field in found if field.name not in FIELDS]
    return pa.schema([*own, *(pa.field(name, kind) for name, kind in FIELDS.items())])


@contextmanager
def _one_type() -> Iterator[None]:
    """Arrow's words on columns that hold numbers in one row and texts in another, as ours."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        why = " ".join(str(error).split())
        raise RowError(
            f"a column of the rows that are made must be of one type in all of them, got several ({why}). "
            "Let the operator write texts, or nested values as JSON."
        ) from None


def _none() -> Dataset:
    return Dataset(pa.schema(list(FIELDS.items())).empty_table())
