"""Rows as conversations: turns, system prompt, earlier turns and tools, whichever columns hold them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from typing import Any

import pyarrow as pa

from limbeck.rows.columns import Column, Number, Part
from limbeck.rows.human_assistant import is_transcript, transcribed
from limbeck.rows.meaning import is_empty
from limbeck.rows.turn_error import TurnError
from limbeck.rows.turn_spellings import KEYS, parsed, turns_of

Turns = list[dict[str, Any]]
Bad = dict[int, str]
"""What is wrong with rows, by their place; the first fault of a row."""

_CHUNK = 4096
_TURNING = ("system", "history", "tools")
"""Columns that only a conversation has a place for."""
_SAYING = ("content", "reasoning_content")
_QUOTED = tuple(f"{mark}{key}{mark}" for key in ("role", "from") for mark in "\"'")
_CALL = pa.struct([("name", pa.string()), ("arguments", pa.string())])


def needs_turns(part: Part, names: Iterable[str]) -> bool:
    """Whether rows can only be told as conversations: a column holds turns, or there is a system prompt."""
    columns = [part.columns[name] for name in names if name in part.columns]
    beside = [part.columns[name] for name in _TURNING if name in part.columns]
    return any(map(_holds_turns, columns)) or not all(map(is_empty, beside))


def conversations(
    part: Part, prompt: str | None, answer: str | None, bad: Bad, *, must_answer: bool = False
) -> Column:
    """The column of turns made of system prompt, history, prompt and answer.

    Args:
        part: rows with the columns.
        prompt: column of a text or turns that the user says; None for none.
        answer: column of a text or turns that the assistant says; None for none.
        bad: takes what is wrong with rows.
        must_answer: whether rows without an answer to learn from are wrong.
    """

    def rows() -> Iterator[Turns]:
        columns = [_objects(part, one) for one in ("system", "history", prompt, answer)]
        for place, (system, history, said, answered) in enumerate(zip(*columns, strict=True)):
            try:
                told = [
                    *_earlier(history),
                    *_said(said, "user", prompt or ""),
                    *_said(answered, "assistant", answer or ""),
                ]
                turns = _with_system(told, system)
                wrong = _without_answer(turns) if must_answer else None
                if wrong:
                    bad.setdefault(place, wrong)
                yield turns
            except TurnError as error:
                bad.setdefault(place, str(error))
                yield []

    return turns_column(rows())


def tool_schemas(column: Column, bad: Bad) -> Column:
    """Schemas of tools as JSON text, nothing where there are none."""
    found: list[str | None] = []
    for place, value in enumerate(column.objects()):
        try:
            schemas = _schemas(value)
        except TurnError as error:
            bad.setdefault(place, str(error))
            schemas = []
        found.append(json.dumps(schemas, ensure_ascii=False) if schemas else None)
    return Column(pa.chunked_array([pa.array(found, pa.string())], pa.string()))


def _schemas(value: Any) -> list[Any]:
    """The schemas in a list, a single one, or a text of these, also of a text within a text."""
    while isinstance(value, str):
        value = parsed(value, "tools") if value.strip() else None
    schemas = value if isinstance(value, list) else [value] if value else []
    return [parsed(one, "a schema of tools") if isinstance(one, str) else one for one in schemas]


def turns_column(rows: Iterator[Turns]) -> Column:
    """Conversations as Arrow holds them; of the keys of turns, those that occur."""
    tables = []
    while some := list(islice(rows, _CHUNK)):
        seen = dict.fromkeys(key for turns in some for turn in turns for key in turn)
        keys = [*(key for key in KEYS if key in seen or key in ("role", "content"))]
        keys += [key for key in seen if key not in KEYS]
        kind = pa.list_(pa.struct([(key, _type_of(key, some)) for key in keys]))
        tables.append(pa.table({"turns": pa.array(some, kind)}))
    if not tables:
        tables = [
            pa.table(
                {
                    "turns": pa.array(
                        [], pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
                    )
                }
            )
        ]
    return Column(pa.concat_tables(tables, promote_options="permissive")["turns"])


def _type_of(key: str, rows: Sequence[Turns]) -> pa.DataType:
    if key == "train":
        return pa.bool_()
    if key != "tool_calls":
        return pa.string()
    has_ids = any("id" in call for turns in rows for turn in turns for call in turn.get("tool_calls") or ())
    ids = [("id", pa.string())] if has_ids else []
    return pa.list_(pa.struct([*ids, ("type", pa.string()), ("function", _CALL)]))


def _objects(part: Part, name: str | None) -> Iterable[Any]:
    column = None if name is None else part.columns.get(name)
    return repeat(None, len(part)) if column is None else column.objects()


def _holds_turns(column: Column) -> bool:
    """Whether a column holds turns, or texts that are turns from the first to the last."""
    if column.form == "number":
        return False
    values = (one for one in column.objects() if one is not None)
    first = next(values, None)
    for is_one in (_is_turns_text, is_transcript):
        if isinstance(first, str) and is_one(first):
            return all(isinstance(one, str) and is_one(one) for one in values)
    if column.form == "json" or pa.types.is_nested(column.values.type):
        return _may_be_turns(first) or any(map(_may_be_turns, values))
    return False


def _may_be_turns(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(one, dict) for one in value)
    )


def _is_turns_text(text: str) -> bool:
    if not text.startswith("[{") or not any(
        f"{q}{key}{q}" in text for q in "\"'" for key in ("role", "from")
    ):
        return False
    try:
        return bool(turns_of(text, "turns"))
    except TurnError:
        return False


def _said(value: Any, role: str, name: str) -> Turns:
    if value is None:
        return []
    if isinstance(value, list | dict):
        return turns_of(value, name)
    if isinstance(value, str) and _is_turns_text(value):
        return turns_of(value, name)
    if is_transcript(value):
        turns = transcribed(value)
        opens = role == "user" and turns[-1] == {"role": "assistant", "content": ""}
        return turns[:-1] if opens else turns
    if name == "messages":
        return turns_of(value, name)
    return [{"role": role, "content": value.written if isinstance(value, Number) else str(value)}]


def _earlier(history: Any) -> Turns:
    """Turns of LLaMA-Factory's `history`, a list of pairs of what was said and answered; or turns."""
    if isinstance(history, str):
        history = parsed(history, "history") if history.strip() else None
    if not history:
        return []
    if all(isinstance(one, dict) for one in history):
        return turns_of(history, "history")
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in history):
        raise TurnError(f"history must be a list of pairs of texts, got {history!r:.60}.")
    return [
        {"role": role, "content": str(words)}
        for pair in history
        for role, words in zip(("user", "assistant"), pair, strict=True)
    ]


def _with_system(turns: Turns, system: Any) -> Turns:
    if system is None or not str(system).strip():
        return turns
    if turns and turns[0]["role"] in ("system", "developer"):
        if turns[0]["content"] == system:
            return turns
        raise TurnError("the system prompt must stand in one place, got another one in the column `system`.")
    return [{"role": "system", "content": str(system)}, *turns]


def _without_answer(turns: Sequence[Mapping[str, Any]]) -> str | None:
    """What is wrong with a conversation that has nothing to learn from; None where all is well."""
    answers = [turn for turn in turns if turn["role"] == "assistant"]
    told = [turn for turn in answers if any((turn.get(name) or "").strip() for name in _SAYING)]
    told += [turn for turn in answers if turn.get("tool_calls") and turn not in told]
    if not told:
        return (
            "messages must have an assistant turn that is not empty, got none. "
            "Where only prompts are needed, load them with columns: {prompt: messages}."
        )
    if all(turn.get("train") is False for turn in told):
        return (
            "messages must have an assistant turn that may be learnt, got train: false or weight: 0 in all."
        )
    return None
