"""What a row asks and answers by itself, whatever its kind; and the row with another answer."""

import json
from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import Any

from limbeck.core.asking import Turn
from limbeck.core.errors import RowError
from limbeck.core.lineage import FIELDS, ID, REFERENCE

Row = Mapping[str, Any]

_OF_KINDS = frozenset({
    "prompt", "completion", "question", "answer", "choices", "rationale", "text", "label", "text_a", "text_b",
    "score", "messages", "tokens", "tags", "chosen", "rejected", "system", "history", "tools", "input",
    "context",
})  # fmt: skip
"""Columns that say what a row is, and would make a row of another kind of one that is made from it."""


def own_prompt(row: Row) -> str | list[Turn]:
    """What the row asks: a text, or the turns before the last answer.

    Raises:
        RowError: it asks nothing.
    """
    found = _asked(row)
    if found is None:
        raise RowError(
            f"row {row.get(ID, '')}: must have messages, prompt, question, text, text_a and text_b, or "
            f"tokens, got {', '.join(name for name, value in row.items() if value) or 'no columns'}. "
            "Name the column in the load step, as in columns: {prompt: COLUMN}."
        )
    return found


def own_text(row: Row) -> str:
    """What the row asks as one text; of a conversation with several turns, who says what."""
    prompt = own_prompt(row)
    if isinstance(prompt, str):
        return prompt
    if [turn["role"] for turn in prompt] == ["user"]:
        return str(prompt[0]["content"])
    return "\n\n".join(f"{turn['role'].capitalize()}: {turn.get('content') or ''}" for turn in prompt)


def own_turns(row: Row) -> tuple[Turn, ...]:
    """What the row asks, as turns."""
    prompt = own_prompt(row)
    return ({"role": "user", "content": prompt},) if isinstance(prompt, str) else tuple(prompt)


def own_answer(row: Row) -> str | None:
    """What the row answers, None where it does not; of a preference the chosen one."""
    for name in ("completion", "answer", "chosen", "label"):
        if row.get(name) is not None:
            return said(row[name])
    turns = row.get("messages")
    return said(turns) if turns and turns[-1]["role"] == "assistant" else None


def said(answer: Any) -> str:
    """An answer as text, also where it is turns: then the last one's."""
    return str(answer[-1].get("content") or "") if isinstance(answer, list) else str(answer)


def answered(row: Row, answer: str) -> dict[str, Any]:
    """The row with another answer; the first it had goes to `reference`."""
    made = {REFERENCE: own_answer(row), **carried(row)}
    prompt = own_prompt(row)
    if not isinstance(prompt, str):
        tools = {"tools": row["tools"]} if row.get("tools") else {}
        turn = {"role": "assistant", "content": answer}
        return {**made, **tools, "messages": [*map(given, prompt), turn]}
    if row.get("question") and not row.get("prompt"):
        choices = {"choices": row["choices"]} if row.get("choices") else {}
        return {**made, "question": row["question"], **choices, "answer": answer}
    if row.get("label") is not None:
        read = {name: row[name] for name in ("text", "text_a", "text_b") if row.get(name)}
        return {**made, **read, "label": answer}
    return {**made, "prompt": prompt, "completion": answer}


def with_turn(row: Row, turn: Turn) -> dict[str, Any]:
    """The row as a conversation with a turn as its answer; the first answer it had goes to `reference`."""
    tools = {"tools": row["tools"]} if row.get("tools") else {}
    turns = [*map(given, own_turns(row)), dict(turn)]
    return {REFERENCE: own_answer(row), **carried(row), **tools, "messages": turns}


def with_thoughts(row: Row, thought: str) -> dict[str, Any]:
    """An answered row as a conversation, with a thought before its answer."""
    turn = row["messages"][-1] if row.get("messages") else {"role": "assistant", "content": own_answer(row)}
    return {**with_turn(row, {**turn, "reasoning_content": thought}), REFERENCE: row.get(REFERENCE)}


def unanswered(row: Row) -> dict[str, Any]:
    """What the row asks, without an answer: a row that could not be answered."""
    return {REFERENCE: own_answer(row), **carried(row), "prompt": _asked(row)}


def carried(row: Row) -> dict[str, Any]:
    """Columns that go on to a row made from this one: those that are of no kind, and no lineage."""
    left = {name: value for name, value in row.items() if name not in FIELDS and name not in _OF_KINDS}
    return {**left, **({REFERENCE: row[REFERENCE]} if row.get(REFERENCE) is not None else {})}


def given(turn: Turn) -> dict[str, Any]:
    """A turn as it was given: read, and not learnt if it is an answer."""
    return {**turn, "train": False} if turn["role"] == "assistant" else dict(turn)


def listed(row: Row, column: str) -> list[Any]:
    """The list in a column, empty where there is none; a file that was loaded has it as JSON text.

    Raises:
        RowError: it holds something else.

    Example:
        >>> listed({"documents": '["one", "two"]'}, "documents")
        ['one', 'two']
    """
    value = row.get(column)
    try:
        found = json.loads(value) if isinstance(value, str) and value.strip() else value or []
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, list):
        raise RowError(f"row {row.get(ID, '')}: {column} must be a list, got {value!r:.60}.")
    return found


def choices_below(choices: Sequence[str] | None) -> str:
    """The choices below a question, as in `CQADatasetLoader.prepare_input` of distilling step-by-step.

    Example:
        >>> choices_below(["pen", "ink"])
        '\\nAnswer Choices:\\n(a) pen\\n(b) ink'
    """
    if not choices:
        return ""
    lines = [f"({letter}) {choice}" for letter, choice in zip(ascii_lowercase, choices, strict=False)]
    return "\n".join(["\nAnswer Choices:", *lines])


def _asked(row: Row) -> str | list[Turn] | None:
    if row.get("messages"):
        return _before_answer(row["messages"])
    if row.get("prompt"):
        return row["prompt"] if isinstance(row["prompt"], str) else list(row["prompt"])
    if row.get("question"):
        return str(row["question"]) + choices_below(row.get("choices"))
    if row.get("text_a"):
        return f"{row['text_a']}\n{row['text_b']}"
    if row.get("tokens"):
        return " ".join(row["tokens"])
    return str(row["text"]) if row.get("text") else None


def _before_answer(turns: Sequence[Turn]) -> list[Turn]:
    last = [place for place, turn in enumerate(turns) if turn["role"] == "assistant"]
    return list(turns[: last[-1]] if last and last[-1] == len(turns) - 1 else turns)
