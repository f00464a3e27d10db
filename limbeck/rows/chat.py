"""Conversations as text, cut where the assistant begins and ends."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from limbeck.rows.rendering import LossOn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Messages = Sequence[Mapping[str, Any]]


class Segment(NamedTuple):
    """A stretch of text: learnt or only read, and whether the end token follows it.

    `words` are those of the turn, where a template may write its own before and behind them.
    """

    text: str
    learnt: bool
    ends: bool = False
    words: str = ""


class TemplateError(ValueError):
    """The chat template cannot show where a turn begins or ends; the message says why."""


def chat_segments(
    messages: Messages, tokenizer: "PreTrainedTokenizerBase", *, loss_on: LossOn, tools: str | None = None
) -> list[Segment]:
    """The conversation as the model reads it; the segments' texts joined are what is tokenised.

    With the tokenizer's chat template a turn runs from the end of the generation prompt to the mark
    that ends it; white space behind the mark is not learnt. A template that ends the conversation
    without any special token gets the end token, so that the model can learn to stop.

    Without a template, every turn is the role on a line, the content and an empty line:
    `"User:\\nHi\\n\\nAssistant:\\n"`, the answer, the end token, `"\\n\\n"`.

    Raises:
        TemplateError: the text of the first turns does not begin the text of the whole, because the
            template rewrites earlier turns.
    """
    turns = [{name: value for name, value in turn.items() if value is not None} for turn in messages]
    answers = [k for k, turn in enumerate(turns) if turn["role"] == "assistant"]
    learnt = answers if loss_on == "all_assistant" else answers[-1:]
    if tokenizer.chat_template is None:
        segments = _plain(turns, set(learnt))
    else:
        segments = _templated(turns, learnt, tokenizer, tools)
    return [segment._replace(learnt=True) for segment in segments] if loss_on == "all" else segments


def chat_prompt(
    messages: Messages, tokenizer: "PreTrainedTokenizerBase", *, tools: str | None = None
) -> list[Segment]:
    """The conversation up to the point where the assistant writes next; nothing of it is learnt."""
    turns = [{name: value for name, value in turn.items() if value is not None} for turn in messages]
    if tokenizer.chat_template is None:
        return _plain([*turns, {"role": "assistant", "content": ""}], set())[:-1]
    return [Segment(_rendered(turns, tokenizer, tools, add_generation_prompt=True), False)]


def _plain(turns: Messages, learnt: set[int]) -> list[Segment]:
    segments: list[Segment] = []
    for k, turn in enumerate(turns):
        content = turn["content"] if "content" in turn else json.dumps(turn.get("tool_calls"))
        segments.append(Segment(_header(turn["role"]), False))
        is_answer = turn["role"] == "assistant"
        segments.append(Segment(content, k in learnt, ends=is_answer, words=content.strip()))
        if k + 1 < len(turns):
            segments.append(Segment("\n\n", False))
    return _merged(segments)


def _header(role: str) -> str:
    return f"{role.capitalize()}:\n"


def _merged(segments: Sequence[Segment]) -> list[Segment]:
    """Neighbours that are only read become one, so that a prompt is tokenised whole."""
    merged: list[Segment] = []
    for segment in segments:
        last = merged[-1] if merged else None
        if last is None or last.ends or last.learnt or segment.learnt or segment.ends:
            merged.append(segment)
        else:
            merged[-1] = Segment(last.text + segment.text, False, segment.ends)
    return merged


def _templated(
    turns: Messages, learnt: Sequence[int], tokenizer: "PreTrainedTokenizerBase", tools: str | None
) -> list[Segment]:
    whole = _rendered(turns, tokenizer, tools)
    segments, position = [], 0
    for k in learnt:
        start, end = _turn(turns, k, whole, tokenizer, tools)
        written = whole[start:end].rstrip() or whole[start:end]
        words = (turns[k].get("content") or "").strip()
        segments += [Segment(whole[position:start], False), Segment(written, True, words=words)]
        position = start + len(written)
    if _lacks_end(turns, whole, tokenizer):
        return [*segments[:-1], segments[-1]._replace(ends=True)]
    return [*segments, Segment(whole[position:], False)]


def _lacks_end(turns: Messages, whole: str, tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether the assistant has the last word and no special token tells that it is over."""
    marks = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return turns[-1]["role"] == "assistant" and not whole.rstrip().endswith(tuple(marks))


def _turn(
    turns: Messages, k: int, whole: str, tokenizer: "PreTrainedTokenizerBase", tools: str | None
) -> tuple[int, int]:
    end = whole if k == len(turns) - 1 else _rendered(turns[: k + 1], tokenizer, tools)
    if k == 0:  # many templates cannot render an empty conversation
        return max(end.find(turns[0].get("content", "")), 0), len(end)
    start = _rendered(turns[:k], tokenizer, tools, add_generation_prompt=True)
    if not (whole.startswith(end) and end.startswith(start)):
        raise TemplateError(
            f"the chat template must write the first {k + 1} turns as it writes them inside the whole "
            "conversation, got other text; it rewrites earlier turns or their beginning"
        )
    return len(start), len(end)


def _rendered(
    turns: Messages,
    tokenizer: "PreTrainedTokenizerBase",
    tools: str | None,
    add_generation_prompt: bool = False,
) -> str:
    try:
        return str(
            tokenizer.apply_chat_template(
                list(turns),
                tools=json.loads(tools) if tools else None,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        )
    except Exception as error:  # templates are programs: jinja's errors, their own, or wrong types
        message = f"the chat template must accept the conversation, got the error: {error}"
        raise TemplateError(message) from error
