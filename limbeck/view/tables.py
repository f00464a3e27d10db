"""Rows of files as they stand there, a batch in memory at a time; nothing is repaired."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from limbeck.core.errors import Problem, RunFolderError

UNREADABLE = "unreadable"
"""Field of a row that stands for a line that is not a JSON object."""

_BATCH = 1000  # rows


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of a known kind, or of a folder that `datasets` saved.

    Raises:
        RunFolderError: a file is missing or damaged.
    """
    try:
        yield from _saved(path) if path.is_dir() else FILES[path.suffix](path)
    except (OSError, ValueError, KeyError, csv.Error) as error:  # Arrow's are among them
        said = str(error).strip().split("\n")[0]
        raise RunFolderError(
            Problem(str(path), f"must be whole, got what cannot be read ({said}). Make it again.")
        ) from error


def _saved(folder: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    for file in state["_data_files"]:
        with pa.OSFile(str(folder / file["filename"])) as opened, pa.ipc.open_stream(opened) as stream:
            labels = _label_names(stream.schema.metadata or {})
            for batch in stream:
                yield from _named(batch, labels)


def _named(batch: Any, labels: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """Rows of an Arrow batch, numbers of classes with the names of the classes."""
    for start in range(0, batch.num_rows, _BATCH):
        for row in batch.slice(start, _BATCH).to_pylist():
            for column, names in labels.items():
                value = row[column]
                if isinstance(value, int) and 0 <= value < len(names):
                    row[column] = f"{names[value]} ({value})"
            yield row


def _label_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    told = json.loads(metadata.get(b"huggingface", b"{}"))
    features = told.get("info", {}).get("features", {})
    return {
        name: feature["names"]
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
    }


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield _object(line.decode("utf-8-sig", errors="backslashreplace"))


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {UNREADABLE: line.rstrip("\r\n")}
    return value if isinstance(value, dict) else {UNREADABLE: line.rstrip("\r\n")}


def _json(path: Path) -> Iterator[dict[str, Any]]:
    """A list of objects, or one a line under the name of JSON."""
    text = path.read_text(encoding="utf-8-sig", errors="backslashreplace")
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        yield from _json_lines(path)
        return
    for one in whole if isinstance(whole, list) else [whole]:
        yield one if isinstance(one, dict) else {UNREADABLE: json.dumps(one, ensure_ascii=False)}


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        labels = _label_names(file.schema_arrow.metadata or {})
        for batch in file.iter_batches(_BATCH):
            yield from _named(batch, labels)


def _comma(path: Path) -> Iterator[dict[str, Any]]:
    return _csv(path, ",")


def _tab(path: Path) -> Iterator[dict[str, Any]]:
    return _csv(path, "\t")


def _csv(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(2**31 - 1)  # a text of more than 128 kB is a text
    with path.open(encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        for row in csv.DictReader(file, delimiter=delimiter, restkey="more columns"):
            yield {str(name): value for name, value in row.items()}


FILES: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".parquet": _parquet,
    ".csv": _comma,
    ".tsv": _tab,
}
"""How a file is read, by the end of its name."""
