"""Proof that what a conversation says is in the text that the model reads."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from limbeck.core.template import TemplateError, applied, functions_of
from limbeck.rows.answers import Answers, left_out
from limbeck.rows.turns import Turn, bare, occurs, texts_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_KINDS = 512  # kinds of conversations that are remembered
_Kind = tuple[tuple[Any, ...], ...]


def check_written(turns: Sequence[Turn], text: str, answers: Answers) -> None:
    """Refuse a text of the turns in which something that they say is not written.

    Contents, tool calls, their arguments and tools must be there. Thoughts are not asked for here: many
    templates drop those of earlier turns, and `rows.answers` asks for them where they are learnt.
    Because a short word may be found by chance, a conversation of the same kind is also written with
    words that no template has.

    Raises:
        TemplateError: something is left out.
    """
    missing = _missing(turns, text, answers.tools, answers.tokenizer, opens=answers.opens)
    if not missing:
        kind = tuple(_kind_of(turn) for turn in turns)
        template = str(answers.tokenizer.chat_template)
        missing = _left_out_of(kind, bool(functions_of(answers.tools)), answers.tokenizer, template)
    if missing:
        raise left_out(missing)


def _missing(
    turns: Sequence[Turn], text: str, tools: str | None, tokenizer: "PreTrainedTokenizerBase", *, opens: bool
) -> str:
    """What is said and not written; nothing if all is.

    Words of the assistant need not be there if the template wrote them when they were the last: then it
    rewrites earlier turns, and the model is to see them so.
    """
    inside = bare(text)
    for place, what, one in _said(turns, tools, opens=opens):
        if occurs(one, inside):
            continue
        is_earlier = 0 <= place < len(turns) - 1 and turns[place]["role"] == "assistant"
        if not (is_earlier and occurs(one, bare(applied(turns[: place + 1], tokenizer, tools)))):
            return what
    return ""


def _said(turns: Sequence[Turn], tools: str | None, *, opens: bool) -> Iterator[tuple[int, str, str]]:
    """Texts with what they are and the place of their turn, -1 for tools."""
    for tool in functions_of(tools):
        yield -1, "tools", str(tool.get("function", tool).get("name") or "")
    for place, turn in enumerate(turns):
        for what, text in texts_of(turn, opens=opens):
            if not (turn["role"] == "assistant" and what == "reasoning_content"):
                yield place, what, text


def _kind_of(turn: Turn) -> tuple[Any, ...]:
    calls = [call.get("function", call).get("arguments") for call in turn.get("tool_calls") or ()]
    arguments = tuple(len(one) if isinstance(one, dict) else -1 for one in calls)
    return turn["role"], bool(str(turn.get("content") or "").strip()), "content" in turn, arguments


@lru_cache(maxsize=_KINDS)
def _left_out_of(kind: _Kind, has_tools: bool, tokenizer: "PreTrainedTokenizerBase", template: str) -> str:
    """What the template leaves out of a conversation of this kind; nothing if it refuses such words."""
    turns = [_spoken(place, *one) for place, one in enumerate(kind)]
    tools = json.dumps([_TOOL]) if has_tools else None
    try:
        if turns[-1]["role"] == "assistant":
            text, _ = Answers(turns, tokenizer, tools).as_seen(len(turns) - 1)
        else:
            text = applied(turns, tokenizer, tools)
    except TemplateError:
        return ""
    return _missing(turns, text, tools, tokenizer, opens=False)


def _spoken(place: int, role: str, speaks: bool, has_content: bool, arguments: tuple[int, ...]) -> Turn:
    turn: Turn = {"role": role}
    if has_content:
        turn["content"] = f"Qz{place}content" if speaks else ""
    if arguments:
        turn["tool_calls"] = [
            {
                "id": f"call{place:04d}{number}",
                "type": "function",
                "function": {
                    "name": f"Qz{place}f{number}",
                    "arguments": f"Qz{place}a{number}"
                    if count < 0
                    else {f"key{key}": f"Qz{place}a{number}v{key}" for key in range(count)},
                },
            }
            for number, count in enumerate(arguments)
        ]
    return turn


_TOOL = {
    "type": "function",
    "function": {
        "name": "Qztool",
        "description": "Qzdescription",
        "parameters": {"type": "object", "properties": {"key": {"type": "string", "description": "Qzkey"}}},
    },
}
