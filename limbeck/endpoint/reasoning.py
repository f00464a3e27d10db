"""Thoughts before an answer, wherever a server puts them: in a field of their own or in the text."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FIELDS = ("reasoning_content", "reasoning", "thinking")
"""Names of the field, by age: DeepSeek and older vLLM, OpenRouter and vLLM since mid-2026, Ollama."""

_OPENED = re.compile(r"\s*<(think|thinking|thought|reasoning)>", re.IGNORECASE)
_CLOSED = re.compile(r"</(think|thinking|thought|reasoning)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Thought:
    """An answer and what was thought before it.

    Attributes:
        text: the answer alone.
        reasoning: the thoughts; None: none were told.
        hidden: whether there were thoughts that were not told.
    """

    text: str
    reasoning: str | None = None
    hidden: bool = False


def thoughts_of_message(
    message: Mapping[str, Any], *, reasoning_tokens: int = 0, tags: bool = True
) -> Thought:
    """Answer and thoughts of a message in OpenAI's form.

    Args:
        message: `message` of a choice, or the sum of a stream's deltas.
        reasoning_tokens: thoughts that the server counted; without any text of them, they are hidden.
        tags: whether `<think>` in the text marks thoughts; not where a text is continued.

    Returns:
        The answer without its thoughts. A field wins over tags; where both are there, the tags stay text.
    """
    text = message.get("content") or ""
    if isinstance(text, list):
        text = "".join(part.get("text", "") for part in text if part.get("type") in ("text", "output_text"))
    told = next((message[name] for name in FIELDS if message.get(name)), None)
    if told is not None:
        return Thought(text.lstrip("\n"), _plain(told))
    details = message.get("reasoning_details") or ()
    spelt = "".join(part.get("text") or part.get("summary") or "" for part in details)
    if spelt:
        return Thought(text, spelt)
    found = thoughts_in_text(text) if tags else Thought(text)
    return Thought(found.text, found.reasoning, hidden=found.reasoning is None and reasoning_tokens > 0)


def thoughts_in_text(text: str) -> Thought:
    """Takes thoughts between `<think>` and `</think>` off the start of a text.

    Templates of some models write `<think>` into the prompt, so a closing tag alone also ends thoughts. A tag
    that is opened and never closed was cut by the limit of tokens: all of it is thought, and no answer came.

    Returns:
        The text after the closing tag, without line breaks before it.

    Example:
        >>> thoughts_in_text("<think>2 and 2</think>\\n\\n4")
        Thought(text='4', reasoning='2 and 2', hidden=False)
        >>> thoughts_in_text("2 and 2</think>4").reasoning
        '2 and 2'
    """
    opened, closed = _OPENED.match(text), _CLOSED.search(text)
    if opened is None and closed is None:
        return Thought(text)
    start = opened.end() if opened else 0
    if closed is None:
        return Thought("", text[start:].strip("\n"))
    return Thought(text[closed.end() :].lstrip("\n"), text[start : closed.start()].strip("\n"))


def thoughts_of_blocks(blocks: Sequence[Mapping[str, Any]]) -> Thought:
    """Answer and thoughts of a message in Anthropic's form: blocks of text and of thinking.

    Example:
        >>> thoughts_of_blocks([{"type": "thinking", "thinking": "so"}, {"type": "text", "text": "4"}])
        Thought(text='4', reasoning='so', hidden=False)
    """
    text = "".join(block.get("text", "") for block in blocks if block.get("type") == "text")
    told = [block.get("thinking", "") for block in blocks if block.get("type") == "thinking"]
    spelt = "\n".join(part for part in told if part)
    redacted = any(block.get("type") == "redacted_thinking" for block in blocks)
    return Thought(text, spelt or None, hidden=redacted or (bool(told) and not spelt))


def _plain(told: Any) -> str:
    if isinstance(told, str):
        return told
    return "".join(part.get("text", "") if isinstance(part, Mapping) else str(part) for part in told)
