"""The texts of a row that gates read: its answer, its prompt, or a column by name."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from limbeck.core.errors import RowError
from limbeck.core.lineage import ID, PARENTS
from limbeck.core.lookup import did_you_mean
from limbeck.gates.verdict import Row

_ANSWERS = ("completion", "answer", "chosen", "text_b", "text")
_PROMPTS = ("prompt", "question", "text_a")
_SEPARATOR = "\n"


def text_of(row: Row, column: str | None = None) -> str:
    """The text of a column as a string; without a name, the answer of the row.

    The answer is the last turn of the assistant in `messages`, else `completion`, `answer`, `chosen`,
    `text_b` or `text`.

    Raises:
        RowError: there is no such column, or none with an answer.
    """
    if column is not None:
        return as_text(value_of(row, column))
    if isinstance(row.get("messages"), list):
        spoken = [turn for turn in row["messages"] if turn.get("role") == "assistant"]
        return as_text(spoken[-1].get("content")) if spoken else ""
    for name in _ANSWERS:
        if name in row:
            return as_text(row[name])
    raise RowError(
        f"{said(row)}: a row that is judged must have an answer ({', '.join(('messages', *_ANSWERS))}), got "
        f"{', '.join(row) or 'no columns'}. Name the column to judge with column."
    )


def prompt_of(row: Row) -> str:
    """What was asked, as one string: all turns before the last answer, the prompt, or nothing."""
    if isinstance(row.get("messages"), list):
        places = [place for place, turn in enumerate(row["messages"]) if turn.get("role") == "assistant"]
        before = row["messages"][: places[-1]] if places else row["messages"]
        return _SEPARATOR.join(as_text(turn.get("content")) for turn in before)
    return next((as_text(row[name]) for name in _PROMPTS if name in row), "")


def all_text(row: Row, columns: Iterable[str] = ()) -> str:
    """Prompt and answer of a row, or some of its columns, with line breaks between."""
    names = list(columns)
    if names:
        return _SEPARATOR.join(text_of(row, name) for name in names)
    return _SEPARATOR.join(part for part in (prompt_of(row), text_of(row)) if part)


def value_of(row: Row, column: str) -> Any:
    """What a column holds.

    Raises:
        RowError: there is no such column.
    """
    if column not in row:
        raise RowError(f"{said(row)}: must have the column {column!r}.{did_you_mean(column, row)}")
    return row[column]


def as_text(value: Any) -> str:
    """A value as text: turns and content parts joined, other data as JSON, nothing as the empty text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
        if all("role" in part for part in value):
            return _SEPARATOR.join(as_text(part.get("content")) for part in value)
        if all("type" in part for part in value):
            return "".join(str(part.get("text") or "") for part in value)
    if isinstance(value, bool | int | float):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def group_of(row: Row) -> str:
    """What rows that answer one question have in common: their parents, else their prompt."""
    parents = row.get(PARENTS)
    return json.dumps(list(parents)) if parents else prompt_of(row)


def said(row: Row) -> str:
    """The row, as messages name it."""
    return f"row {row[ID]}" if row.get(ID) is not None else "a row"
