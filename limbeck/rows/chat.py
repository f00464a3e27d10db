"""Conversations as text, cut where the assistant begins and ends."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from limbeck.core.template import Messages, TemplateError, applied
from limbeck.rows import plain
from limbeck.rows.answers import Answer, Answers
from limbeck.rows.marks import THOUGHT_BEGINS, Marks, marks_of
from limbeck.rows.proof import check_written
from limbeck.rows.rendering import LossOn
from limbeck.rows.segments import Segment
from limbeck.rows.turns import TRAIN, is_empty, seen_by_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_KEPT = 8  # tokenizers that are remembered
_QUESTION = ({"role": "user", "content": "a"},)

__all__ = ["Messages", "Segment", "TemplateError", "View", "chat_prompt", "chat_views", "turns_in_loss"]


class View(NamedTuple):
    """A conversation as the model reads it when it writes the turn `turn`, counted from 1.

    `lacks_end` says that the template ends the turn with no mark, so that an end token was put there.
    """

    turn: int
    segments: list[Segment]
    lacks_end: bool = False


def chat_views(
    messages: Messages,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    loss_on: LossOn,
    tools: str | None = None,
    finished: bool = True,
    empty_too: bool = False,
    one_each: bool = False,
    hides: bool = True,
) -> list[View]:
    """The conversation as the model reads it; the segments' texts joined are what is tokenised.

    With the tokenizer's chat template a turn runs from the end of the generation prompt to the mark
    that ends it; white space behind the mark is not learnt. A template that ends the conversation
    without any mark gets the end token, so that the model can learn to stop. All turns in the loss are in one
    view, unless the template writes earlier turns otherwise than when they were the last (it drops
    thoughts, say): then each is learnt in a view that ends with it, as the model sees it when it
    writes it. Views come in the order of their turns; the last is of the whole conversation.

    Without a template, `rows.plain` says how turns are written.

    Args:
        messages: turns with role and content; see `rows.turns`. One with `train: false` is not learnt.
        tokenizer: of the model.
        loss_on: see `rows.rendering.Rendering`.
        tools: functions that the assistant may call, a JSON list.
        finished: False for a last answer that its writer was stopped in: its end is not learnt.
        empty_too: whether a turn that says nothing is in the loss, which is its end alone.
        one_each: a view for every turn in the loss, whatever the template does.
        hides: whether control marks in the texts are text.

    Raises:
        TemplateError: the template refuses the conversation or leaves something out of it, or there is
            nothing to learn.
    """
    marks = marks_of(tokenizer)
    turns = seen_by_template(messages, marks if hides else None, opens=_opens_thoughts(tokenizer))
    tools = marks.hide(tools) if tools and hides else tools
    in_loss = turns_in_loss(messages, loss_on, empty_too=empty_too)
    if tokenizer.chat_template is None:
        segments = plain.segments_of(turns, set(in_loss), tools=tools, finished=finished)
        if loss_on == "all":
            segments = _but_untrained(segments, messages)
        return [View(len(turns), [one.shown(marks) for one in segments])]
    answers = Answers(turns, tokenizer, tools, finished=finished, opens=_opens_thoughts(tokenizer))
    if loss_on == "all":
        views = [_all_of(answers, in_loss, messages)]
    else:
        views = _views(answers, in_loss, one_each=one_each)
    return [_shown(view, marks) for view in views]


def chat_prompt(
    messages: Messages,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    tools: str | None = None,
    hides: bool = True,
) -> list[Segment]:
    """The conversation up to the point where the assistant writes next; nothing of it is learnt."""
    marks = marks_of(tokenizer)
    turns = seen_by_template(messages, marks if hides else None, opens=_opens_thoughts(tokenizer))
    tools = marks.hide(tools) if tools and hides else tools
    if tokenizer.chat_template is None:
        answer = {"role": "assistant", "content": ""}
        return [one.shown(marks) for one in plain.segments_of([*turns, answer], set(), tools=tools)[:-1]]
    answers = Answers(turns, tokenizer, tools)
    text = answers.prompt(len(turns)) if turns else answers.header(0)
    check_written(turns, text, answers)
    return [Segment(text, False).shown(marks)]


def turns_in_loss(messages: Messages, loss_on: LossOn, *, empty_too: bool = False) -> list[int]:
    """Places of the turns to be learnt.

    Raises:
        TemplateError: there is none.
    """
    places = [place for place, turn in enumerate(messages) if turn["role"] == "assistant"]
    if loss_on == "last_assistant":
        places = places[-1:]
    trained = [place for place in places if messages[place].get(TRAIN) is not False]
    told = [place for place in trained if empty_too or not is_empty(dict(messages[place]))]
    if told or loss_on == "all":
        return told
    which = "the last assistant turn" if loss_on == "last_assistant" else "an assistant turn"
    why = "only such with `train: false`" if places and not trained else "none with a text"
    elsewhere = "Set loss_on: all_assistant, or take" if loss_on == "last_assistant" else "Take"
    raise TemplateError(f"{which} must have something to learn, got {why}", f"{elsewhere} these rows out.")


def _views(answers: Answers, in_loss: Sequence[int], *, one_each: bool) -> list[View]:
    """From the last learnt turn to the first: a view, and in it every turn it shows as its own view does."""
    views: list[View] = []
    left = list(in_loss)
    while left:
        own = answers[left[-1]]
        text = own.text if views else answers.whole_from(own)
        check_written(answers.turns[: own.place + 1], text, answers)
        inside = [place for place in left[:-1] if not one_each and _shows(text, answers[place])]
        shown = [*(answers[place] for place in inside), own]
        views.append(_view(answers, text, shown))
        left = [place for place in left[:-1] if place not in inside]
    return views[::-1]


def _shows(text: str, answer: Answer) -> bool:
    return text.startswith(answer.upto)


def _all_of(answers: Answers, in_loss: Sequence[int], messages: Messages) -> View:
    """Everything is in the loss, but turns that say `train: false`."""
    spoken = [place for place, turn in enumerate(answers.turns) if turn["role"] == "assistant"]
    last = answers[spoken[-1]]
    text = answers.whole_from(last)
    check_written(answers.turns[: last.place + 1], text, answers)
    known = [answers[place] for place in spoken if _shows(text, answers[place])]
    unseen = [place for place in spoken if messages[place].get(TRAIN) is False]
    if any(place not in [one.place for one in known] for place in unseen):
        raise TemplateError(
            "a turn with `train: false` must be found in the whole conversation, got a chat template that "
            "writes it otherwise there",
            "Set loss_on: all_assistant, which learns each answer as the model sees it.",
        )
    view = _view(answers, text, known)
    off = {one.start for one in known if one.place in unseen}
    segments, at = [], 0
    for segment in view.segments:
        segments.append(segment._replace(in_loss=not (segment.in_loss and at in off)))
        at += len(segment.text)
    return view._replace(segments=segments)


def _view(answers: Answers, text: str, shown: Sequence[Answer]) -> View:
    segments, position = [], 0
    for one in shown:
        segments.append(Segment(text[position : one.start], False))
        segments.append(Segment(text[one.start : one.end], True, words=one.words))
        position = one.end
    last = shown[-1]
    # Behind a mark there may be white space; behind words alone the model must learn to stop.
    if last.finished and not last.is_ended and not text[position:].strip():
        return View(last.place + 1, [*segments[:-1], segments[-1]._replace(ends=True)], lacks_end=True)
    return View(last.place + 1, [*segments, Segment(text[position:], False)])


def _but_untrained(segments: Sequence[Segment], messages: Messages) -> list[Segment]:
    """The plain form, learnt but for turns that say `train: false`, which end as all answers do."""
    spoken = iter([turn.get(TRAIN) is not False for turn in messages if turn["role"] == "assistant"])
    return [one._replace(in_loss=next(spoken) if one.is_answer else True) for one in segments]


def _shown(view: View, marks: Marks) -> View:
    return view._replace(segments=[one.shown(marks) for one in view.segments])


def _opens_thoughts(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether the generation prompt begins a thought, so that answers do not."""
    template = str(tokenizer.chat_template)
    return THOUGHT_BEGINS in template and _ends_in_thought(tokenizer, template)


@lru_cache(maxsize=_KEPT)
def _ends_in_thought(tokenizer: "PreTrainedTokenizerBase", template: str) -> bool:
    """`template` is part of the key, because it may change."""
    try:
        return applied(_QUESTION, tokenizer, add_generation_prompt=True).rstrip().endswith(THOUGHT_BEGINS)
    except TemplateError:
        return False
