"""JSON files: an object a line, an array, a document around one; every value as it was written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from limbeck.core.errors import ConfigError, RowError
from limbeck.rows.columns import Column, Form, Number, Part, origins_of
from limbeck.rows.kinds import SPELLINGS
from limbeck.rows.opening import open_text, undecodable
from limbeck.rows.suffixes import suffix_of

_CHUNK = 8192  # rows that are Python objects at a time
_SMALL, _LARGE = -(2**63), 2**63 - 1
_BY_SPELLING = [frozenset(spelling.names) for spelling in SPELLINGS]
_OF_ROWS = frozenset().union(*_BY_SPELLING) | {"tools", "solutions", "verdicts", "history"}


class _Repeated(ValueError):
    """An object names a key twice."""


def read_json(path: Path, name: str, *, encoding: str | None, limit: int | None, split: str | None) -> Part:
    """The rows of a JSON file.

    Args:
        path: of the file.
        name: what the rows' origins call it.
        encoding: see `rows.opening.open_text`.
        limit: of rows, from the front.
        split: the key to take of a document that holds several lists of rows.

    Raises:
        RowError: not the text or the JSON that the name promises; broken lines are in the part instead.
        ConfigError: the document holds several lists of rows, and `split` is none of their keys.
    """
    try:
        if _has_lines(path, encoding):
            return _lines(path, name, encoding, limit)
        with open_text(path, encoding) as text:
            document = text.read()
    except UnicodeDecodeError as error:
        raise undecodable(path, encoding) from error
    try:
        rows = _document(path, document, split)
    except RowError:
        if suffix_of(path) == ".json" or document.lstrip()[:1] != "{":
            raise
        return _lines(path, name, encoding, limit)
    return _table(iter(enumerate(rows[:limit], start=1)), name, {})


def _has_lines(path: Path, encoding: str | None) -> bool:
    """Whether one of the first two lines that are not blank is an object by itself."""
    with open_text(path, encoding) as text:
        first = list(islice((line for line in text if line.strip()), 2))
    found = [_parsed(line) for line in first]
    if len(found) == 1 and isinstance(found[0], dict):
        return not _is_document(found[0])
    return any(isinstance(one, dict) for one in found)


def _parsed(line: str) -> Any:
    try:
        return _decode(line)
    except _Repeated:
        return {}
    except ValueError:
        return None


def _lines(path: Path, name: str, encoding: str | None, limit: int | None) -> Part:
    broken: dict[str, str] = {}

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        with open_text(path, encoding) as text:
            for number, line in enumerate(text, start=1):
                if not line.strip():
                    continue
                try:
                    row = _decode(line.removeprefix("\ufeff"))  # where files were put one behind another
                    if isinstance(row, dict):
                        yield number, row
                    else:
                        broken[f"{path}:{number}"] = "must be a JSON object."
                except _Repeated as error:
                    broken[f"{path}:{number}"] = f"{error}."
                except json.JSONDecodeError as error:
                    broken[f"{path}:{number}"] = f"must be a JSON object; {_reason(error, line)}."

    return _table(islice(rows(), limit), name, broken)


def _reason(error: json.JSONDecodeError, line: str) -> str:
    place = "at the end of the line" if error.pos >= len(line.rstrip()) else f"at column {error.colno}"
    return f"{error.msg[0].lower()}{error.msg[1:].removesuffix(' at')}, {place}"


def _document(path: Path, text: str, split: str | None) -> list[dict[str, Any]]:
    """The rows of a document: of an array, of objects one behind another, or of what an object holds."""
    values = []
    position = len(text) - len(text.lstrip())
    try:
        while position < len(text):
            value, position = _decoder.raw_decode(text, position)
            values.append(value)
            while text[position : position + 1].isspace():
                position += 1
    except _Repeated as error:
        raise RowError(f"{path}: {error}. Fix the file.") from error
    except json.JSONDecodeError as error:
        raise RowError(
            f"{path}:{error.lineno}: must be JSON, an object a line or an array of objects; "
            f"{_reason(error, text.splitlines()[error.lineno - 1])}. Fix the file."
        ) from error
    rows = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    if len(values) == 1 and isinstance(values[0], dict):
        rows = _unwrapped(path, values[0], split)
    if not all(isinstance(row, dict) for row in rows):
        wrong = next(row for row in rows if not isinstance(row, dict))
        raise RowError(f"{path}: every row must be a JSON object, got {wrong!r:.60}. Fix the file.")
    return rows


def _is_document(found: Mapping[str, Any]) -> bool:
    """Whether an object holds rows and is none itself."""
    return _is_table(found) or bool(_lists_of_rows(found))


def _is_table(found: Mapping[str, Any]) -> bool:
    """Whether an object is a table by columns, as `to_dict` and pandas' `to_json` write it."""
    if "tokens" in found or not any(names <= found.keys() for names in _BY_SPELLING):
        return False
    columns = list(found.values())
    if all(isinstance(one, dict) and all(key.isdigit() for key in one) for one in columns):
        return len({tuple(one) for one in columns}) == 1
    return (
        all(isinstance(one, list) and not any(isinstance(cell, dict) for cell in one) for one in columns)
        and len({len(one) for one in columns}) == 1
    )


def _lists_of_rows(found: Mapping[str, Any]) -> list[str]:
    return [
        key
        for key, value in found.items()
        if key not in _OF_ROWS
        and isinstance(value, list)
        and value
        and all(isinstance(one, dict) for one in value)
        and not any(names <= found.keys() for names in _BY_SPELLING)
    ]


def _unwrapped(path: Path, document: Mapping[str, Any], split: str | None) -> list[Any]:
    if _is_table(document):
        columns = [one.values() if isinstance(one, dict) else one for one in document.values()]
        return [dict(zip(document, values, strict=True)) for values in zip(*columns, strict=True)]
    keys = _lists_of_rows(document)
    if len(keys) > 1 or (keys and split in keys):
        if split not in keys:
            raise ConfigError(
                f"split must be one of {', '.join(keys)} for {path}, which holds a list of rows under each, "
                f"got {split}. Set split: {keys[0]} in the load step."
            )
        return [{**row, "split": split} for row in document[split]]
    return list(document[keys[0]]) if keys else [document]


def _table(numbered: Iterator[tuple[int, Mapping[str, Any]]], name: str, broken: dict[str, str]) -> Part:
    chunks: list[dict[str, tuple[Form, pa.Array]]] = []
    numbers: list[np.ndarray[Any, np.dtype[np.int64]]] = []
    while some := list(islice(numbered, _CHUNK)):
        try:
            chunks.append(_encoded(some))
        except UnicodeEncodeError:
            torn = {number: found for number, row in some if (found := _torn(row))}
            broken |= {
                f"{name}:{number}": f"{key} must be Unicode text, got half of a surrogate pair ({half})."
                for number, (key, half) in torn.items()
            }
            some = [(number, row) for number, row in some if number not in torn]
            chunks.append(_encoded(some))
        numbers.append(np.asarray([number for number, _ in some], dtype=np.int64))
    keys = dict.fromkeys(key for chunk in chunks for key in chunk)
    sizes = [len(one) for one in numbers]
    columns = {key: _joined([chunk.get(key) for chunk in chunks], sizes) for key in keys}
    lines = np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64)
    return Part(columns, origins_of(name, lines), broken=broken)


def _encoded(rows: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, tuple[Form, pa.Array]]:
    keys = dict.fromkeys(key for _, row in rows for key in row)
    return {key: _column([row.get(key) for _, row in rows]) for key in keys}


def _column(values: list[Any]) -> tuple[Form, pa.Array]:
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return "plain", pa.nulls(len(values))
    if kinds == {str}:
        return "plain", pa.array(values, pa.string())
    if kinds == {bool}:
        return "plain", pa.array(values, pa.bool_())
    if kinds == {int} and all(one is None or _SMALL <= one <= _LARGE for one in values):
        return "plain", pa.array(values, pa.int64())
    if kinds <= {int, Number, float}:
        return "number", pa.array([None if one is None else _written(one) for one in values], pa.string())
    return "json", pa.array([None if one is None else _dumped(one) for one in values], pa.string())


def _torn(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """The key under which half of a surrogate pair stands, and which; None where none does."""
    for key, value in row.items():
        try:
            _encode([key, value]).encode()
        except UnicodeEncodeError as error:
            return key, f"\\u{ord(error.object[error.start]):04x}"
    return None


def _joined(chunks: Sequence[tuple[Form, pa.Array] | None], sizes: Sequence[int]) -> Column:
    """The chunks of a column as one, in the narrowest form that holds all; None: the key is not there."""
    known = [(form, one) for form, one in filter(None, chunks) if not pa.types.is_null(one.type)]
    types = {(form, str(one.type)) for form, one in known}
    arrays = [pa.nulls(size) if one is None else one[1] for one, size in zip(chunks, sizes, strict=True)]
    if len(types) <= 1:
        form, kind = (known[0][0], known[0][1].type) if known else ("plain", pa.string())
        return Column(pa.chunked_array([one.cast(kind) for one in arrays], kind), form)
    if types <= {("number", "string"), ("plain", "int64")}:
        return Column(pa.chunked_array([one.cast(pa.string()) for one in arrays], pa.string()), "number")
    forms: list[Form] = ["plain" if one is None else one[0] for one in chunks]
    made = [
        one
        if form == "json"
        else pa.array(
            [None if v is None else _dumped(v) for v in Column(pa.chunked_array([one]), form).objects()]
        )
        for form, one in zip(forms, arrays, strict=True)
    ]
    return Column(pa.chunked_array([one.cast(pa.string()) for one in made], pa.string()), "json")


def _written(value: float) -> str:
    return value.written if isinstance(value, Number) else str(value)


def _dumped(value: Any) -> str:
    if isinstance(value, Number):
        return value.written
    return _encode(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Repeated(f"must name every key once, got '{twice}' twice")
    return found


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=Number)
_decode = _decoder.decode
_encode = json.JSONEncoder(ensure_ascii=False).encode
