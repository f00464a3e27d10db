"""Rows of plain text, in which control marks may stand: as marks, or as letters somebody wrote about."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from limbeck.core.lineage import is_finished
from limbeck.core.template import Messages, dated
from limbeck.rows.exchange import Exchange, answer_of, exchanges, prompt_of
from limbeck.rows.kinds import Kind
from limbeck.rows.marks import THOUGHT_TAGS, Marks, marks_of
from limbeck.rows.rendering import Rendering
from limbeck.rows.segments import Segment
from limbeck.rows.tokens import opening_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Row = Mapping[str, Any]
SpecialTokens = Literal["auto", "parse", "text"]

SPECIAL_TOKENS = "special_tokens"
"""Column of rows that says how to read control marks in them, one of `SpecialTokens`; auto without it.

With `auto` they are letters, but for two uses that nobody means as letters: a text or prompt that begins
with one was written by a chat template and keeps all of them (an answer, all but end tokens within), and
one at the very end is the end. `parse` keeps all, `text` none.
"""

TEMPLATE_DATE = "template_date"
"""Column of rows that says which day, YYYY-MM-DD, a chat template writes as today's."""


class Given(NamedTuple):
    """A row as segments.

    Attributes:
        segments: of which the last may end.
        keeps: whether marks that stood in it are tokens.
        separated: whether a separator was put in.
    """

    segments: list[Segment]
    keeps: bool = False
    separated: bool = False

    @property
    def hides(self) -> bool:
        """Whether marks that stood in it are letters."""
        return any(segment.hidden for segment in self.segments)


def reads_marks(row: Row) -> SpecialTokens:
    """How marks in a row are meant."""
    return row.get(SPECIAL_TOKENS) or "auto"


def day_of(row: Row) -> AbstractContextManager[None]:
    """Inside, chat templates write the row's own day as today's, if it has one."""
    day = row.get(TEMPLATE_DATE)
    return dated(date.fromisoformat(day)) if day else nullcontext()


def turns_of_row(row: Row, messages: Messages, tokenizer: "PreTrainedTokenizerBase") -> Messages:
    """The turns of a row, without ends at the very end of answers: the chat template writes them."""
    if reads_marks(row) != "auto":
        return messages
    marks = marks_of(tokenizer)
    return [_without_end(turn, marks, tokenizer) for turn in messages]


def _without_end(
    turn: Mapping[str, Any], marks: Marks, tokenizer: "PreTrainedTokenizerBase"
) -> Mapping[str, Any]:
    content = turn.get("content")
    if turn["role"] != "assistant" or not isinstance(content, str):
        return turn
    words, closing, _ = _closed(content, tokenizer, marks, "auto")
    return {**turn, "content": words} if closing and closing in {*marks.stops, marks.end} else turn


def text_of_row(row: Row, tokenizer: "PreTrainedTokenizerBase") -> Given:
    """A row of text, learnt whole with its end; white space behind a mark that ends it is not learnt."""
    marks, means = marks_of(tokenizer), reads_marks(row)
    is_rendered = _is_rendered(row["text"], marks, means)
    text = _without_begin(row["text"], marks, tokenizer, means)
    words, closing, behind = _closed(text, tokenizer, marks, means)
    words = words if is_rendered else marks.hide(words)
    segments = _ended(words, closing, marks, finished=is_finished(row))
    if closing and behind:
        segments.append(Segment(behind, False))
    keeps = bool(closing) or text != row["text"] or (is_rendered and marks.pattern.search(words) is not None)
    return Given([one.shown(marks) for one in segments], keeps)


def target_of(text: str, row: Row, tokenizer: "PreTrainedTokenizerBase") -> str:
    """An answer that gets its end elsewhere: without an end of its own, marks within it hidden."""
    marks, means = marks_of(tokenizer), reads_marks(row)
    words, _, _ = _closed(text, tokenizer, marks, means)
    return words if means == "parse" else marks.hide(words, but=THOUGHT_TAGS)


def exchanges_of(
    row: Row, kind: Kind, tokenizer: "PreTrainedTokenizerBase", rendering: Rendering
) -> list[tuple[Exchange, Given]]:
    """The examples of a row with a prompt and an answer (see `rows.exchange.exchanges`)."""
    hidden, is_rendered = _prompt_hidden(row, kind, tokenizer)
    found = exchanges(hidden, kind, rendering, tokenizer.eos_token or "")
    return [(one, _exchange(one, row, tokenizer, rendering, is_rendered=is_rendered)) for one in found]


def prompt_of_row(
    row: Row, kind: Kind, tokenizer: "PreTrainedTokenizerBase", rendering: Rendering
) -> Segment:
    """The prompt of a row as `exchanges_of` puts it before the answer."""
    marks = marks_of(tokenizer)
    hidden, is_rendered = _prompt_hidden(row, kind, tokenizer)
    prompt = prompt_of(hidden, kind, tokenizer.eos_token or "")
    prompt = rendering.task_prefix + prompt
    whole = Exchange(row["id"], prompt, answer_of(row, kind))
    prompt, _ = _separated(whole, rendering, marks, is_rendered=is_rendered)
    return Segment(_without_begin(prompt, marks, tokenizer, reads_marks(row)), False).shown(marks)


def _exchange(
    exchange: Exchange,
    row: Row,
    tokenizer: "PreTrainedTokenizerBase",
    rendering: Rendering,
    *,
    is_rendered: bool,
) -> Given:
    """One prompt and its target, the target and its end learnt."""
    marks, means = marks_of(tokenizer), reads_marks(row)
    prompt, is_separated = _separated(exchange, rendering, marks, is_rendered=is_rendered)
    read = _without_begin(prompt, marks, tokenizer, means)
    words, closing, _ = _closed(exchange.target, tokenizer, marks, means)
    kept = words if is_rendered and means == "parse" else _mid_answer(words, marks, is_rendered)
    segments = [
        Segment(read, rendering.loss_on == "all"),
        *_ended(kept, closing, marks, finished=is_finished(row)),
    ]
    segments = [one.shown(marks) for one in segments]
    return Given(segments, is_rendered or bool(closing), is_separated)


def _separated(
    exchange: Exchange, rendering: Rendering, marks: Marks, *, is_rendered: bool
) -> tuple[str, bool]:
    """The prompt, ended by the separator where neither side of the seam is white space or a mark."""
    prompt, answer = exchange.prompt, exchange.target
    is_apart = prompt[-1:].isspace() or answer[:1].isspace()
    is_apart = is_apart or (is_rendered and marks.opens(prompt))
    return (prompt, False) if is_apart else (prompt + rendering.separator, bool(rendering.separator))


def _is_rendered(text: str, marks: Marks, means: SpecialTokens) -> bool:
    return means == "parse" or (means == "auto" and marks.opens(text))


def _prompt_hidden(row: Row, kind: Kind, tokenizer: "PreTrainedTokenizerBase") -> tuple[Row, bool]:
    """The row with marks hidden in the texts that make its prompt; and whether the prompt keeps them."""
    marks = marks_of(tokenizer)
    if _is_rendered(prompt_of(row, kind, ""), marks, reads_marks(row)):
        return row, True
    names = {name for name in _PROMPT_COLUMNS if isinstance(row.get(name), str)}
    hidden: dict[str, Any] = {name: marks.hide(row[name]) for name in names}
    if row.get("choices"):
        hidden["choices"] = [marks.hide(choice) for choice in row["choices"]]
    return {**row, **hidden}, False


_PROMPT_COLUMNS = ("prompt", "question", "text", "text_a", "text_b")


def _without_begin(
    text: str, marks: Marks, tokenizer: "PreTrainedTokenizerBase", means: SpecialTokens
) -> str:
    """The text without the token that begins every text, where the tokenizer puts it there itself."""
    if means == "text" or not marks.begin or not len(opening_ids(tokenizer)):
        return text
    while text.startswith(marks.begin):
        text = text.removeprefix(marks.begin)
    return text


def _closed(
    text: str, tokenizer: "PreTrainedTokenizerBase", marks: Marks, means: SpecialTokens
) -> tuple[str, str, str]:
    """What comes before the mark that ends a text, the mark or nothing, and white space behind it."""
    words = text.rstrip()
    others = {tokenizer.pad_token, tokenizer.unk_token, tokenizer.mask_token} - {marks.end}
    closing = next((mark for mark in marks.ends if words.endswith(mark) and mark not in others), "")
    if means == "text" or not closing:
        return text, "", ""
    behind = text[len(words) :]
    while words.endswith(closing):
        words = words.removesuffix(closing)
    return words, closing, behind


def _ended(words: str, closing: str, marks: Marks, *, finished: bool) -> list[Segment]:
    """What is learnt of a text: its words and its end, once, if it came to one."""
    if closing and closing != marks.end and finished:
        return [Segment(words + closing, True, words=words.strip())]
    return [Segment(words, True, ends=finished)]


def _mid_answer(words: str, marks: Marks, is_rendered: bool) -> str:
    """An answer in which no end is taught before its end."""
    if not is_rendered:
        return marks.hide(words, but=THOUGHT_TAGS)
    return marks.hide(words, but=marks.control - marks.stops)
