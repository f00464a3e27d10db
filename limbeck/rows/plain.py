"""Conversations for a tokenizer without a chat template."""

import json
from collections.abc import Collection, Sequence
from typing import Any

from limbeck.core.template import functions_of
from limbeck.rows.marks import THOUGHT_BEGINS, THOUGHT_ENDS
from limbeck.rows.segments import Segment
from limbeck.rows.turns import Turn, reasoning_of


def segments_of(
    turns: Sequence[Turn], in_loss: Collection[int], *, tools: str | None = None, finished: bool = True
) -> list[Segment]:
    """Every turn is the role on a line, what it says and an empty line.

    `"User:\\nHi\\n\\nAssistant:\\n"`, the answer, the end token, `"\\n\\n"`. A thought stands before the
    content between `<think>` and `</think>`, tool calls stand behind it, one each between `<tool_call>`
    and `</tool_call>`, and tools are listed in a first turn, as Hermes and Qwen write them.
    The end token does not follow a last answer that is not `finished`.
    """
    segments: list[Segment] = []
    if functions := functions_of(tools):
        segments.append(Segment(f"{_header('tools')}{_json(functions)}\n\n", False))
    spoken = [place for place, turn in enumerate(turns) if turn["role"] == "assistant"]
    for place, turn in enumerate(turns):
        is_answer = turn["role"] == "assistant"
        ends = is_answer and (finished or place != spoken[-1])
        content = str(turn.get("content") or "")
        segments.append(Segment(_header(turn["role"]), False))
        said = said_by(turn, is_cut=is_answer and not ends)
        segments.append(Segment(said, place in in_loss, ends, content.strip(), is_answer=is_answer))
        if place + 1 < len(turns):
            segments.append(Segment("\n\n", False))
    return _merged(segments)


def said_by(turn: Turn, *, is_cut: bool = False) -> str:
    """What a turn says: its thought, its content and its calls; a thought that `is_cut` stays open."""
    content, reasoning = str(turn.get("content") or ""), reasoning_of(turn)
    closed = "" if is_cut and not content else f"\n{THOUGHT_ENDS}\n\n"
    thought = f"{THOUGHT_BEGINS}\n{reasoning}{closed}" if reasoning else ""
    calls = [call.get("function", call) for call in turn.get("tool_calls") or ()]
    written = [
        f"<tool_call>\n{_json({name: call.get(name) for name in ('name', 'arguments')})}\n</tool_call>"
        for call in calls
    ]
    return thought + "\n".join([content, *written] if content else written)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _header(role: str) -> str:
    return f"{role.capitalize()}:\n"


def _merged(segments: Sequence[Segment]) -> list[Segment]:
    """Neighbours that are only read become one, so that a prompt is tokenised whole."""
    merged: list[Segment] = []
    for segment in segments:
        last = merged[-1] if merged else None
        if last is None or last.is_answer or segment.is_answer:
            merged.append(segment)
        else:
            merged[-1] = Segment(last.text + segment.text, False, segment.ends)
    return merged
