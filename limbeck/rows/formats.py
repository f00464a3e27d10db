"""How each kind of data file is read, by the `datasets` library, without touching anyone's cache."""

import tempfile
from collections.abc import Callable, Mapping
from csv import QUOTE_NONE
from pathlib import Path
from typing import Any

from datasets import Dataset

from limbeck.core.errors import ConfigError, ResourceError, RowError
from limbeck.core.storage import storage_problem

Reader = Callable[[str, Mapping[str, Any]], Dataset]


def read_file(path: Path) -> Dataset:
    """The rows of one file: a line a row in .txt, an object a line or one array in .json and .jsonl.

    CSV cells stay what they are: `NA` and the empty cell are text. TSV has no quoting, so a
    lone quotation mark does not swallow the lines below it.

    Raises:
        ConfigError: the suffix is none of `READERS`.
        RowError: the file is not what its suffix says.
    """
    reader = READERS.get(path.suffix)
    if reader is None:
        allowed = ", ".join(sorted(READERS))
        raise ConfigError(f"a data file must end in one of {allowed}, got {path}. Convert it or rename it.")
    if path.stat().st_size == 0:
        raise RowError(f"{path}: must have at least one row, got an empty file.")
    try:
        with tempfile.TemporaryDirectory() as cache:
            return reader(str(path), {"cache_dir": cache, "keep_in_memory": True})
    except Exception as error:  # the readers raise many types; all others mean that this file is broken
        refused = storage_problem(error)
        if refused is not None:
            raise ResourceError(refused) from error
        reasons = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        message = f"{path}: must be readable as {path.suffix}, got: {reasons[0]}. Mend the file."
        raise RowError(message) from error


def _json(path: str, memory: Mapping[str, Any]) -> Dataset:
    return Dataset.from_json(path, **memory)


def _parquet(path: str, memory: Mapping[str, Any]) -> Dataset:
    return Dataset.from_parquet(path, **memory)


def _csv(path: str, memory: Mapping[str, Any]) -> Dataset:
    return Dataset.from_csv(path, keep_default_na=False, **memory)


def _tsv(path: str, memory: Mapping[str, Any]) -> Dataset:
    return Dataset.from_csv(path, sep="\t", quoting=QUOTE_NONE, keep_default_na=False, **memory)


def _text(path: str, memory: Mapping[str, Any]) -> Dataset:
    return Dataset.from_text(path, **memory)


def _arrow(path: str, _: Mapping[str, Any]) -> Dataset:
    return Dataset.from_file(path)


READERS: Mapping[str, Reader] = {
    ".arrow": _arrow,
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json,
    ".parquet": _parquet,
    ".tsv": _tsv,
    ".txt": _text,
}
