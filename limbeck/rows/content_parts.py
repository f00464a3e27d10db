"""Anthropic's content holds thoughts, calls and results of tools as parts; each gets its own place."""

from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.rows.turn_error import TurnError

_OURS = frozenset({"thinking", "tool_use", "tool_result"})


def has_own_parts(content: Any) -> bool:
    """Whether some part of a content is neither text nor something that limbeck cannot read."""
    return isinstance(content, list) and any(_kind(part) in _OURS for part in content)


def apart(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The turns that such a turn is: what tools gave back each in a turn of its own, then who speaks.

    Raises:
        TurnError: parts in an order that no chat template can write: a thought behind words, words behind
            a call or before what a tool gave back.
    """
    parts: Sequence[Any] = turn["content"]
    beside = {key: value for key, value in turn.items() if key != "content"}
    _check_order(parts)
    results = [part for part in parts if _kind(part) == "tool_result"]
    turns: list[dict[str, Any]] = [
        {"role": "tool", "content": part.get("content") or "", "tool_call_id": part.get("tool_use_id")}
        for part in results
    ]
    words = [part for part in parts if _kind(part) not in _OURS]
    calls = [_call(part) for part in parts if _kind(part) == "tool_use"]
    thoughts = [str(part.get("thinking") or "") for part in parts if _kind(part) == "thinking"]
    if words or calls or thoughts:
        said = {"content": words or ("" if not calls else None)}
        given = {"tool_calls": calls, "reasoning_content": "\n\n".join(thoughts)}
        turns.append({**beside, **said, **{key: value for key, value in given.items() if value}})
    return turns


def _kind(part: Any) -> str:
    return str(part.get("type", "text")) if isinstance(part, dict) else "text"


def _check_order(parts: Sequence[Any]) -> None:
    order = [_PLACES.get(_kind(part), _PLACES["text"]) for part in parts]
    if order != sorted(order):
        shown = ", ".join(map(_kind, parts))
        raise TurnError(
            "parts of a turn must come as tool_result, thinking, text, tool_use, which is how chat templates "
            f"write them, got {shown}. Make several turns of it."
        )


def _call(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": part.get("id"), "function": {"name": part.get("name"), "arguments": part.get("input")}}


_PLACES = {"tool_result": 0, "thinking": 1, "text": 2, "tool_use": 3}
