"""The turns of a conversation as a chat template is to see them, and the texts that must reach the model."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from limbeck.core.template import Messages
from limbeck.rows.marks import THOUGHT_BEGINS, THOUGHT_ENDS, THOUGHT_TAGS, Marks, hide_thoughts

Turn = dict[str, Any]

TRAIN = "train"
"""Key of a turn; False: not to be learnt."""

_CLOSED = re.compile(rf"(?:\A|\n)[ \t]*{THOUGHT_ENDS}[ \t]*(?:\n|\Z)")


def seen_by_template(messages: Messages, marks: Marks | None, *, opens: bool = False) -> list[Turn]:
    """The turns with everything that no user gave taken out.

    Keys without a value go, and arguments of tool calls that came as JSON text become objects, which is
    what templates write. Control marks in texts are hidden, unless `marks` is None; so are, in
    the assistant's words, the tags of thoughts that neither open nor close a thought (`thought_of`).
    """
    return [_seen(turn, marks, opens=opens) for turn in messages]


def thought_of(content: str, *, opens: bool) -> tuple[str, str] | None:
    """What stands before and behind the tag that ends a thought; None without a thought.

    A thought begins the content: with its tag, or without one where the prompt has it already (`opens`),
    or where the tag that ends it has a line of its own.
    """
    before, tag, behind = content.partition(THOUGHT_ENDS)
    if not tag:
        return None
    if content.lstrip().startswith(THOUGHT_BEGINS) or opens or _CLOSED.search(content):
        return before, behind
    return None


def texts_of(turn: Turn, *, opens: bool = False) -> Iterator[tuple[str, str]]:
    """What a turn says, by what it is: content, reasoning_content, and of tool calls names and arguments."""
    if reasoning := reasoning_of(turn):
        yield "reasoning_content", reasoning
    content = str(turn.get("content") or "")
    found = thought_of(content, opens=opens) if turn["role"] == "assistant" else None
    for part in found or (content,):
        if text := part.removeprefix("\n").strip().removeprefix(THOUGHT_BEGINS).strip():
            yield "content", text
    for call in turn.get("tool_calls") or ():
        function = call.get("function", call)
        yield "a tool call", str(function.get("name") or "")
        yield from (("an argument of a tool call", text) for text in _leaves(function.get("arguments")))


def reasoning_of(turn: Mapping[str, Any]) -> str:
    """The thought that a turn has in a field of its own."""
    return str(turn.get("reasoning_content") or "")


def is_empty(turn: Turn) -> bool:
    """Whether a turn says nothing."""
    return not any(text for _, text in texts_of(turn))


def occurs(text: str, inside: str) -> bool:
    """Whether a text, plain or as JSON or Python has it, stands in a `bare` rendered one."""
    return any(bare(form) in inside for form in _forms(text))


def bare(text: str) -> str:
    """A text without case and space, which templates change."""
    return "".join(text.split()).casefold()


def _forms(text: str) -> Iterator[str]:
    yield text
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(text)[1:-1]
    yield repr(text)[1:-1]


def _leaves(value: Any) -> Iterator[str]:
    """The values in a nested object, as JSON writes them, of text without the quotes."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield json.dumps(value)


def _seen(turn: Mapping[str, Any], marks: Marks | None, *, opens: bool) -> Turn:
    seen: Turn = {name: value for name, value in turn.items() if value is not None and name != TRAIN}
    if seen.get("tool_calls"):
        seen["tool_calls"] = [_with_arguments(call) for call in seen["tool_calls"]]
    else:
        seen.pop("tool_calls", None)
    if seen["role"] == "assistant" and isinstance(seen.get("content"), str):
        seen["content"] = _with_tags_hidden(seen["content"], opens=opens)
    kept = THOUGHT_TAGS if seen["role"] == "assistant" else ()  # those that bound no thought are hidden
    return {
        name: _hidden(value, marks, kept if name == "content" else ()) if name != "role" else value
        for name, value in seen.items()
    }


def _with_tags_hidden(content: str, *, opens: bool) -> str:
    found = thought_of(content, opens=opens)
    if found is None:
        begun = content.lstrip().startswith(THOUGHT_BEGINS)  # a thought that was cut
        place = content.index(THOUGHT_BEGINS) + len(THOUGHT_BEGINS) if begun else 0
        return content[:place] + hide_thoughts(content[place:])
    before, behind = found
    begins = len(before) - len(before.lstrip()) + len(THOUGHT_BEGINS)
    begins = begins if before.lstrip().startswith(THOUGHT_BEGINS) else 0
    return f"{before[:begins]}{hide_thoughts(before[begins:])}{THOUGHT_ENDS}{hide_thoughts(behind)}"


def _hidden(value: Any, marks: Marks | None, but: Sequence[str]) -> Any:
    """The texts in a nested object with their marks hidden."""
    if isinstance(value, str):
        return value if marks is None else marks.hide(value, but=but)
    if isinstance(value, Mapping):
        return {name: _hidden(inner, marks, but) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(inner, marks, but) for inner in value]
    return value


def _with_arguments(call: Mapping[str, Any]) -> dict[str, Any]:
    """A tool call with an object as its arguments, as transformers' templates expect it."""
    kept = {name: value for name, value in call.items() if value is not None}
    inner = kept.get("function")
    if isinstance(inner, Mapping):
        return {**kept, "function": _with_arguments(inner)}
    arguments = kept.get("arguments")
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments)
        except json.JSONDecodeError:
            return kept
        return {**kept, "arguments": parsed if isinstance(parsed, dict) else arguments}
    return {**kept, "arguments": _given(arguments)} if isinstance(arguments, Mapping) else kept


def _given(value: Any) -> Any:
    """An object without the keys that Arrow put in because other rows have them."""
    if isinstance(value, Mapping):
        return {name: _given(inner) for name, inner in value.items() if inner is not None}
    return [_given(inner) for inner in value] if isinstance(value, list) else value
