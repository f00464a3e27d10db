"""One shape for every spelling: limbeck's column names, messages with roles, labels by name."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import ClassLabel, Dataset, List, Value

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import did_you_mean
from limbeck.rows.kinds import Kind, spelling_of
from limbeck.rows.problems import refuse_rows

ROLES: Mapping[str, str] = {
    "human": "user", "user": "user", "prompter": "user",
    "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "model": "assistant",
    "system": "system", "tool": "tool", "observation": "tool", "function_response": "tool",
}  # fmt: skip
"""ShareGPT's speakers -> roles of chat templates."""

_TEXT_COLUMNS = ("prompt", "completion", "question", "answer", "rationale", "text", "text_a", "text_b")


def renamed(rows: Dataset, columns: Mapping[str, str], where: str) -> Dataset:
    """Rows with `columns` (limbeck's name -> the name found) applied; a column in the way is replaced.

    Raises:
        ConfigError: a column to rename is not there.
    """
    found = rows.column_names
    problems = [
        Problem(f"columns.{new}", f"must name a column of {where}, got '{old}'.{did_you_mean(old, found)}")
        for new, old in columns.items()
        if old not in found
    ]
    if problems:
        raise ConfigError(problems)
    changes = {old: new for new, old in columns.items() if old != new}
    in_the_way = [new for new in changes.values() if new in found and new not in changes]
    return rows.remove_columns(in_the_way).rename_columns(changes)


def normalised(rows: Dataset, ids: Sequence[str], where: str) -> Dataset:
    """Rows in limbeck's spelling; other columns are kept.

    Raises:
        RowError: the columns are of no kind, or a conversation has an unknown speaker.
    """
    spelling = spelling_of(rows.column_names, where)
    if "instruction" in spelling.names:
        rows = _with_input(rows)
    if "conversations" in spelling.names:
        rows = _with_column(rows, "conversations", _messages(rows["conversations"], ids, where))
    rows = renamed(rows, {new: old for old, new in spelling.names.items()}, where)
    if spelling.kind is Kind.COMPLETION and rows and not isinstance(rows[0]["prompt"], str):
        turns = [_turns(row["prompt"], "user") + _turns(row["completion"], "assistant") for row in rows]
        rows = _with_column(rows.remove_columns(["prompt", "completion"]), "messages", turns)
    return _with_plain_types(rows)


def _with_input(rows: Dataset) -> Dataset:
    """Alpaca's optional `input` goes below the instruction, with a line break between."""
    if "input" not in rows.column_names:
        return rows
    pairs = zip(rows["instruction"], rows["input"], strict=True)
    prompts = [f"{instruction}\n{given}" if given else instruction for instruction, given in pairs]
    return _with_column(rows.remove_columns("input"), "instruction", prompts)


def _messages(
    conversations: Sequence[Sequence[Mapping[str, Any]] | None], ids: Sequence[str], where: str
) -> list[list[dict[str, Any]]]:
    problems: list[Problem] = []
    messages: list[list[dict[str, Any]]] = []
    for row_id, turns in zip(ids, conversations, strict=True):
        unknown = sorted({str(turn.get("from")) for turn in turns or [] if turn.get("from") not in ROLES})
        if unknown:
            allowed = ", ".join(ROLES)
            message = f"the speaker `from` must be one of {allowed}, got {', '.join(unknown)}."
            problems.append(Problem(f"{where}, row {row_id}", message))
        messages.append(
            [
                {"role": ROLES.get(str(turn.get("from")), ""), "content": turn.get("value")}
                for turn in turns or []
            ]
        )
    refuse_rows(problems)
    return messages


def _turns(value: Any, role: str) -> list[dict[str, Any]]:
    return list(value) if isinstance(value, list) else [{"role": role, "content": value}]


def _with_plain_types(rows: Dataset) -> Dataset:
    """Class ids of the hub become their names; whole numbers where text belongs become text."""
    for name, feature in dict(rows.features).items():
        if isinstance(feature, ClassLabel):
            names = [None if value is None or value < 0 else feature.int2str(value) for value in rows[name]]
            rows = _with_column(rows, name, names)
        elif name == "tags" and isinstance(feature, List) and isinstance(feature.feature, ClassLabel):
            rows = _with_column(rows, name, [feature.feature.int2str(tags) for tags in rows[name]])
        elif name in _TEXT_COLUMNS and isinstance(feature, Value) and "int" in feature.dtype:
            rows = rows.cast_column(name, Value("string"))
        elif name == "tools" and not isinstance(feature, Value):
            rows = _with_column(rows, name, [json.dumps(tools) for tools in rows[name]])
    return rows


def _with_column(rows: Dataset, name: str, values: Sequence[Any]) -> Dataset:
    kept = rows.remove_columns(name) if name in rows.column_names else rows
    return kept.add_column(name, list(values)) if kept.column_names else Dataset.from_dict({name: values})
