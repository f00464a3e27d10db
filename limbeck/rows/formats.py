"""How each kind of data file is read: text stays text, and nothing is guessed."""

import csv
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features

from limbeck.core.errors import ConfigError, RowError, UserError
from limbeck.rows.columns import Column, Form, Part, origins_of, texts_column
from limbeck.rows.json_files import read_json
from limbeck.rows.opening import open_bytes, open_text, undecodable
from limbeck.rows.suffixes import COMPRESSED, DATA_SUFFIXES, suffix_of

_SEPARATORS = (",", ";", "\t", "|")
_MARK = "\ufeff"  # of byte order; also inside, where files were put one behind another
_SAMPLE = 100  # lines that show which of them it is


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    Attributes:
        encoding: of a text file; None: by its byte order mark, else UTF-8.
        limit: rows from the front.
        split: the key of a JSON document that holds several lists of rows.
    """

    encoding: str | None = None
    limit: int | None = None
    split: str | None = None


Reader = Callable[[Path, str, Reading], Part]


def read_file(path: Path, name: str, reading: Reading) -> Part:
    """The rows of one file: a line a row in .txt, an object a line or an array in .json and .jsonl.

    Cells of .csv and .tsv stay what they are: `NA`, `007` and the empty cell are text. A file may be
    compressed (`.jsonl.gz`), and its suffix in capitals.

    Args:
        path: of the file.
        name: what the rows' origins call it.
        reading: how.

    Raises:
        ConfigError: the suffix is none of `READERS`.
        RowError: the file is not what its suffix says, or has no rows.
    """
    reader = READERS.get(suffix_of(path))
    if reader is None:
        allowed = ", ".join(sorted(DATA_SUFFIXES))
        raise ConfigError(
            f"a data file must end in one of {allowed}, with or without {', '.join(sorted(COMPRESSED))} "
            f"behind it, got {path}. Convert it or rename it."
        )
    if path.stat().st_size == 0:
        raise RowError(f"{path}: must have at least one row, got an empty file.")
    try:
        part = reader(path, name, reading)
    except UserError:
        raise
    except UnicodeDecodeError as error:
        raise undecodable(path, reading.encoding) from error
    except Exception as error:  # the readers raise many types; all of them mean that this file is broken
        reasons = str(error).strip().splitlines() or [type(error).__name__]
        message = f"{path}: must be readable as {suffix_of(path)}, got: {reasons[0]}. Fix the file."
        raise RowError(message) from error
    if len(part) == 0 and not part.broken:
        raise RowError(f"{path}: must have at least one row, got a file without any.")
    return part


def part_of(rows: Dataset, name: str) -> Part:
    """Rows of a `datasets` data set, whatever it is formatted for; class ids become their names."""
    rows = rows.with_format("arrow")
    return _of_table(rows[:] if len(rows) else rows.data.table.slice(0, 0), rows.features, name)


def _json(path: Path, name: str, reading: Reading) -> Part:
    return read_json(path, name, encoding=reading.encoding, limit=reading.limit, split=reading.split)


def _parquet(path: Path, name: str, reading: Reading) -> Part:
    with open_bytes(path) as stream:
        table = pq.read_table(pa.BufferReader(stream.read()))
    return _of_table(table, None, name).take(range(min(len(table), reading.limit or len(table))))


def _arrow(path: Path, name: str, reading: Reading) -> Part:
    with open_bytes(path) as stream:
        data = pa.BufferReader(stream.read())
    try:
        table = pa.ipc.open_stream(data).read_all()
    except pa.ArrowInvalid:
        table = pa.ipc.open_file(data).read_all()
    return _of_table(table, None, name).take(range(min(len(table), reading.limit or len(table))))


def _text(path: Path, name: str, reading: Reading) -> Part:
    with open_text(path, reading.encoding) as text:
        lines = (
            (number, line.rstrip("\r\n").removeprefix(_MARK)) for number, line in enumerate(text, start=1)
        )
        lines = ((number, line) for number, line in lines if line.strip())
        found = list(islice(((number, line) for number, line in lines if line.strip()), reading.limit))
    numbers = np.asarray([number for number, _ in found], dtype=np.int64)
    return Part({"text": texts_column([line for _, line in found])}, origins_of(name, numbers))


def _csv(path: Path, name: str, reading: Reading) -> Part:
    with open_text(path, reading.encoding) as text:
        separator = _separator(list(islice(text, _SAMPLE)))
    return _delimited(path, name, reading, separator, csv.QUOTE_MINIMAL)


def _tsv(path: Path, name: str, reading: Reading) -> Part:
    with open_text(path, reading.encoding) as text:
        is_quoted = _quotes_close(list(islice(text, _SAMPLE)))
    try:
        return _delimited(path, name, reading, "\t", csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE)
    except RowError:
        if not is_quoted:
            raise
        return _delimited(path, name, reading, "\t", csv.QUOTE_NONE)


def _separator(lines: list[str]) -> str:
    """The separator under which all rows have as many cells as the header, and the most of them."""
    counts = {one: [len(row) for row in csv.reader(lines, delimiter=one) if row] for one in _SEPARATORS}
    even = {one: found[0] for one, found in counts.items() if len(set(found[:-1] or found)) == 1}
    best = max(even, key=lambda one: even[one], default=",")
    return best if even.get(best, 1) > 1 else ","


def _quotes_close(lines: list[str]) -> bool:
    """Whether cells that begin with a quotation mark are quoted, as pandas writes them, and not just text."""
    if not any(cell.startswith('"') for line in lines for cell in line.rstrip("\r\n").split("\t")):
        return False
    try:
        rows = [row for row in csv.reader(lines, delimiter="\t", strict=True) if row]
    except csv.Error:
        return False
    return len({len(row) for row in rows[: -1 or None]}) == 1


def _delimited(path: Path, name: str, reading: Reading, separator: str, quoting: int) -> Part:
    csv.field_size_limit(sys.maxsize)
    with open_text(path, reading.encoding) as text:
        reader = csv.reader(text, delimiter=separator, quoting=quoting, strict=True)  # type: ignore[arg-type]
        header = next(_cells(reader, path), (1, []))[1]
        if len(set(header)) != len(header):
            twice = next(one for one in header if header.count(one) > 1)
            raise RowError(f"{path}: columns must have different names, got '{twice}' twice. Rename one.")
        broken: dict[str, str] = {}
        numbers: list[int] = []
        cells: list[list[str]] = [[] for _ in header]
        for number, row in islice(_cells(reader, path), reading.limit):
            if len(row) != len(header):
                broken[f"{path}:{number}"] = (
                    f"must have {len(header)} cells as the header has, got {len(row)}."
                )
                continue
            numbers.append(number)
            for column, cell in zip(cells, row, strict=True):
                column.append(cell)
    columns = {key: texts_column(column) for key, column in zip(header, cells, strict=True)}
    return Part(columns, origins_of(name, np.asarray(numbers, dtype=np.int64)), broken=broken)


def _cells(reader: Any, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of every row that is not blank."""
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise RowError(
                f"{path}:{line}: must be a row of cells, got: {error}. Close or double the quotation mark."
            ) from error
        if row is None:
            return
        if row:
            yield line, [row[0].removeprefix(_MARK), *row[1:]]


def _of_table(table: pa.Table, features: Features | None, name: str) -> Part:
    if features is None:
        features = _features_of(table)
    columns: dict[str, Column] = {}
    classes: dict[str, tuple[str, ...]] = {}
    for key in table.column_names:
        feature = features.get(key)
        inner = getattr(feature, "feature", None)
        if isinstance(feature, ClassLabel):
            columns[key] = Column(_named(table[key], feature))
            classes[key] = tuple(feature.names)
        elif isinstance(inner, ClassLabel):
            rows = table[key].to_pylist()
            names = [None if row is None else [inner.int2str(one) for one in row] for row in rows]
            columns[key] = Column(pa.chunked_array([pa.array(names, pa.list_(pa.string()))]))
        else:
            columns[key] = _plain(table[key])
    return Part(columns, origins_of(name, np.arange(1, len(table) + 1)), classes)


def _features_of(table: pa.Table) -> Mapping[str, Any]:
    """What `datasets` wrote into the file about its columns; nothing where another system wrote it."""
    if b"huggingface" not in (table.schema.metadata or {}):
        return {}
    try:
        return Features.from_arrow_schema(table.schema)
    except (ValueError, KeyError, TypeError):  # of a version of datasets that names features otherwise
        return {}


def _named(ids: pa.ChunkedArray, feature: ClassLabel) -> pa.ChunkedArray:
    names = pa.array(feature.names, pa.string())
    known = pa.compute.if_else(pa.compute.greater_equal(ids, 0), ids, None)  # -1: nobody labelled it
    return pa.chunked_array([names.take(chunk) for chunk in known.chunks], pa.string())


def _plain(values: pa.ChunkedArray) -> Column:
    """Without Arrow's other ways to hold the same: dictionaries, large and view strings, decimals."""
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        form: Form = "json" if str(kind).startswith("extension<arrow.json") else "plain"
        storage = pa.chunked_array([chunk.storage for chunk in values.chunks], kind.storage_type)
        return replace(_plain(storage), form=form)
    if pa.types.is_dictionary(kind):
        return _plain(values.cast(kind.value_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return Column(values.cast(pa.string()))
    if pa.types.is_decimal(kind):
        return Column(values.cast(pa.string()), "number")
    return Column(values)


READERS: Mapping[str, Reader] = {
    ".arrow": _arrow,
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json,
    ".ndjson": _json,
    ".parquet": _parquet,
    ".tsv": _tsv,
    ".txt": _text,
}
