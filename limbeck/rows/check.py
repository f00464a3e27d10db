"""Every row has something to learn from, and columns hold what their names say."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from datasets import Dataset

from limbeck.core.errors import Problem, RowError
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.problems import refuse_rows

Row = Mapping[str, Any]

_FILL = "Take the row out or fill it."


def check_rows(rows: Dataset, where: str) -> None:
    """Look at every row once.

    Raises:
        RowError: naming each row (the first ten) in which a target is missing or of a wrong type.
    """
    kind = kind_of(rows.column_names)
    wrong = _CHECKS[kind]
    problems = []
    for row in rows.select_columns([*_read_columns(rows), "id"]):
        message = wrong(row)
        if message:
            problems.append(Problem(f"{where}, row {row['id']}", message))
    refuse_rows(problems)


def check_heldout(rows: Dataset, name: str) -> None:
    """Raise RowError when the held-out split `name` is empty, where one is needed."""
    if len(rows) == 0:
        raise RowError(
            f"held-out split must have at least one row, got {name} with none. "
            "Set `heldout` in the load step, for example heldout: 0.05."
        )


def _read_columns(rows: Dataset) -> list[str]:
    names = {*kind_of(rows.column_names).columns, "choices", "messages", "prompt"}
    return [name for name in rows.column_names if name in names]


def _text(row: Row, *names: str) -> str | None:
    for name in names:
        value = row[name]
        if value is None:
            return f"{name} must be text that is not empty, got nothing. {_FILL}"
        if isinstance(value, str) and not value.strip():
            return f"{name} must be text that is not empty, got {value!r:.60}. {_FILL}"
        if not isinstance(value, str):
            return f"{name} must be text, got {type(value).__name__} {value!r:.60}."
    return None


def _label(row: Row) -> str | None:
    value = row["label"]
    if value is None or value == "":
        return "label must be text or a whole number, got nothing."
    if not isinstance(value, str | int):
        return f"label must be text or a whole number, got {value!r}. Name a score `score`."
    return None


def _messages(messages: Any, name: str = "messages") -> str | None:
    if not isinstance(messages, list) or not messages:
        return f"{name} must be a list of turns with role and content, got {messages!r:.60}."
    for turn in messages:
        if not isinstance(turn, dict) or not isinstance(turn.get("role"), str):
            return f"every turn of {name} must have a role, got {turn!r:.60}."
        if not isinstance(turn.get("content"), str) and not turn.get("tool_calls"):
            return f"every turn of {name} must have text as content, got {turn.get('content')!r:.60}."
    return None


def _conversation(row: Row) -> str | None:
    wrong = _messages(row["messages"])
    if wrong:
        return wrong
    answers = [turn for turn in row["messages"] if turn["role"] == "assistant"]
    if not any((turn.get("content") or "").strip() or turn.get("tool_calls") for turn in answers):
        return (
            "messages must have an assistant turn that is not empty, got none. "
            "Where only prompts are needed, load them with columns: {prompt: messages}."
        )
    return None


def _prompt(row: Row) -> str | None:
    return _turns_or_text(row, "prompt")


def _question(row: Row) -> str | None:
    choices = row.get("choices")
    if choices is not None and not all(isinstance(choice, str) for choice in choices):
        return f"choices must be a list of texts, got {choices!r:.60}."
    return _text(row, "question", "answer")


def _tags(row: Row) -> str | None:
    tokens, tags = row["tokens"], row["tags"]
    if not isinstance(tokens, list) or not isinstance(tags, list) or not tokens:
        return f"tokens and tags must be lists that are not empty, got {tokens!r:.40} and {tags!r:.40}."
    if len(tokens) != len(tags):
        return f"tokens and tags must be of one length, got {len(tokens)} and {len(tags)}."
    return None


def _score(row: Row) -> str | None:
    value = row["score"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"score must be a finite number, got {'nothing' if value is None else repr(value)}."
    return _text(row, "text_a", "text_b")


def _preference(row: Row) -> str | None:
    if row.get("prompt") is None and row.get("messages") is None and isinstance(row["chosen"], str):
        return "chosen and rejected must follow a prompt or messages, got neither."
    if row["rejected"] == "":  # a model that said nothing is a fair loser
        return _turns_or_text(row, "chosen")
    return _turns_or_text(row, "chosen") or _turns_or_text(row, "rejected")


def _turns_or_text(row: Row, name: str) -> str | None:
    return _messages(row[name], name) if isinstance(row[name], list) else _text(row, name)


_CHECKS: Mapping[Kind, Callable[[Row], str | None]] = {
    Kind.PREFERENCE: _preference,
    Kind.MESSAGES: _conversation,
    Kind.COMPLETION: lambda row: _text(row, "prompt", "completion"),
    Kind.QUESTION: _question,
    Kind.TAGS: _tags,
    Kind.LABELLED_PAIR: lambda row: _text(row, "text_a", "text_b") or _label(row),
    Kind.SCORED_PAIR: _score,
    Kind.LABELLED_TEXT: lambda row: _text(row, "text") or _label(row),
    Kind.TEXT: lambda row: _text(row, "text"),
    Kind.PROMPT: _prompt,
}
