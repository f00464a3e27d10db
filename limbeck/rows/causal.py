"""Rows for a causal model: token ids and which of them are learnt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import Problem
from limbeck.core.lineage import is_finished
from limbeck.rows.chat import Segment, TemplateError, View, chat_views
from limbeck.rows.given import (
    Given,
    day_of,
    exchanges_of,
    reads_marks,
    text_of_row,
    turns_of_row,
)
from limbeck.rows.kinds import Kind
from limbeck.rows.problems import LongPrompt, Unrendered
from limbeck.rows.rendering import Rendering, example_suffix
from limbeck.rows.tokens import Ids, encode, encode_with_offsets, end_id, opening_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Row = Mapping[str, Any]

TEXTS_CUT = "texts cut into windows of max_length"
ANSWERS_CUT = "answers cut at max_length, so that their end is not taught"
LETTERS = "rows with special tokens in their text, read as letters (special_tokens: parse keeps them)"
MARKED = "rows that held begin, end or chat marks, kept as tokens and not doubled"
SPLIT = "conversations with one example per answer, because the chat template rewrites earlier turns"
BEYOND = "later answers of such conversations left out, because max_length ends before them"
"""Notes of `rows.render.notes_of`."""


class Piece(NamedTuple):
    """A row as text. `joined` texts are tokenised as one, others segment by segment (see `pieces_of`).

    `is_later` marks a further example of a conversation, behind the one of its first answer.
    """

    row_id: str
    segments: Sequence[Segment]
    group: int = 0
    joined: bool = False
    is_later: bool = False


class CausalExample(NamedTuple):
    """One sequence: ids [n] and, [n], whether each token is to be learnt; `is_later` as of `Piece`."""

    row_id: str
    input_ids: Ids
    is_target: NDArray[np.bool_]
    group: int = 0
    is_later: bool = False


def causal_examples(
    rows: Sequence[Row],
    kind: Kind,
    tokenizer: "PreTrainedTokenizerBase",
    rendering: Rendering,
    *,
    notes: Counter[str],
    problems: list[Problem],
) -> list[CausalExample]:
    """The examples of `rows`, at most `max_length` long; adds to `notes` and `problems`.

    Plain text is cut into windows that overlap by one token: the last token of a window is read
    again as the first of the next, so that every token but the very first is learnt exactly once.
    An answer beyond `max_length` is cut, and then its end token is not taught.
    """
    pieces = pieces_of(rows, kind, tokenizer, rendering, notes=notes, problems=problems)
    examples = []
    for example in encoded(pieces, tokenizer):
        if kind is Kind.TEXT:
            windows = _windows(example, rendering.max_length)
            notes[TEXTS_CUT] += len(windows) > 1
            examples += windows
            continue
        first = int(example.is_target.argmax())
        if first >= rendering.max_length:
            if example.is_later:
                notes[BEYOND] += 1
                continue
            problems.append(LongPrompt.of(example.row_id, first))
        notes[ANSWERS_CUT] += len(example.input_ids) > rendering.max_length
        cut = slice(rendering.max_length)
        examples.append(example._replace(input_ids=example.input_ids[cut], is_target=example.is_target[cut]))
    return examples


def pieces_of(
    rows: Sequence[Row],
    kind: Kind,
    tokenizer: "PreTrainedTokenizerBase",
    rendering: Rendering,
    *,
    notes: Counter[str],
    problems: list[Problem],
    one_each: bool = False,
) -> list[Piece]:
    """Rows as segments of text.

    Prompt and answer are tokenised apart, so that the boundary is exact and the model reads the prompt
    as it will when it generates. SentencePiece puts its own space mark before an answer.
    Conversations with a chat template are tokenised as one text, with `one_each` one for every answer.
    """
    pieces = []
    for row in rows:
        if kind is Kind.TEXT:
            given = text_of_row(row, tokenizer)
            _note(given, notes)
            pieces.append(Piece(row["id"], given.segments))
        elif messages_of(row, kind) is not None:
            try:
                pieces += _conversations(row, kind, tokenizer, rendering, notes, one_each=one_each)
            except TemplateError as error:
                problems.append(Unrendered.of(row["id"], str(error), error.advice))
        else:
            for exchange, given in exchanges_of(row, kind, tokenizer, rendering):
                notes[f"prompts given the separator {rendering.separator!r}"] += given.separated
                _note(given, notes)
                pieces.append(Piece(exchange.row_id, given.segments, exchange.group))
    if kind is Kind.PREFERENCE and rendering.task != "preference":
        notes["rejected answers not learnt from"] += len(rows)
    return pieces


def _note(given: Given, notes: Counter[str]) -> None:
    notes[LETTERS] += given.hides
    notes[MARKED] += given.keeps


def encoded(pieces: Sequence[Piece], tokenizer: "PreTrainedTokenizerBase") -> list[CausalExample]:
    """Ids and tokens in the loss of every piece, uncut; begin and end tokens in place."""
    apart = encode(tokenizer, texts_apart(pieces))
    return assembled(pieces, tokenizer, apart, encode_with_offsets(tokenizer, texts_joined(pieces)))


def texts_apart(pieces: Sequence[Piece]) -> list[str]:
    """The texts that are tokenised segment by segment, in order; letters that look like marks are hidden."""
    return [segment.coded for piece in pieces if not piece.joined for segment in piece.segments]


def texts_joined(pieces: Sequence[Piece]) -> list[str]:
    """The texts that are tokenised as one, in order; letters that look like marks are hidden."""
    return ["".join(segment.coded for segment in piece.segments) for piece in pieces if piece.joined]


def assembled(
    pieces: Sequence[Piece],
    tokenizer: "PreTrainedTokenizerBase",
    ids_apart: Sequence[Ids],
    joined_with_offsets: Sequence[tuple[Ids, NDArray[np.int64]]],
) -> list[CausalExample]:
    """`encoded`, of ids that are there: of `texts_apart`, and of `texts_joined` with their characters."""
    opening, end = opening_ids(tokenizer), np.asarray([end_id(tokenizer)], dtype=np.int32)
    apart, joined = iter(ids_apart), iter(joined_with_offsets)
    examples = []
    for piece in pieces:
        if piece.joined:
            ids, offsets = next(joined)
            parts, flags = [ids], [_inside_loss(offsets, piece.segments)]
            if piece.segments[-1].ends:
                parts, flags = [ids, end], [*flags, np.asarray([piece.segments[-1].in_loss])]
        else:
            parts, flags = [opening], [np.zeros(len(opening), dtype=np.bool_)]
            for segment in piece.segments:
                ids = next(apart)
                parts += [ids, end] if segment.ends else [ids]
                flags.append(np.full(len(ids) + segment.ends, segment.in_loss))
        ids, targets = np.concatenate(parts), np.concatenate(flags)
        examples.append(CausalExample(piece.row_id, ids, targets, piece.group, piece.is_later))
    return examples


def messages_of(row: Row, kind: Kind, answer: str = "chosen") -> list[Mapping[str, Any]] | None:
    """The conversation of a row, that answer of a preference at its end; None without turns."""
    if kind is Kind.MESSAGES:
        return list(row["messages"])
    if kind is not Kind.PREFERENCE or (isinstance(row.get("prompt"), str) and isinstance(row["chosen"], str)):
        return None
    before = row.get("messages") or row.get("prompt") or []
    before = [{"role": "user", "content": before}] if isinstance(before, str) else list(before)
    given = row[answer]
    if isinstance(given, str):
        return [*before, {"role": "assistant", "content": given}]
    return list(given) if given[0]["role"] != "assistant" else [*before, *given]


def _conversations(
    row: Row,
    kind: Kind,
    tokenizer: "PreTrainedTokenizerBase",
    rendering: Rendering,
    notes: Counter[str],
    *,
    one_each: bool,
) -> list[Piece]:
    """The conversation of a row, or of a preference one for each answer that is learnt."""
    pieces = []
    for group, answer in enumerate(rendering.answers):
        given = messages_of(row, kind, answer)
        assert given is not None
        messages = turns_of_row(row, given, tokenizer)
        notes[MARKED] += any(one is not other for one, other in zip(messages, given, strict=True))
        with day_of(row):
            views = chat_views(
                messages,
                tokenizer,
                # The end of a preference row is its answer: earlier turns are context.
                loss_on="last_assistant" if kind is Kind.PREFERENCE else rendering.loss_on,
                tools=row.get("tools"),
                finished=is_finished(row),
                empty_too=kind is Kind.PREFERENCE,
                one_each=one_each,
                hides=reads_marks(row) != "parse",
            )
        row_id = row["id"] + example_suffix(answer) if group else row["id"]
        pieces += _of_views(views, row_id, group, joined=tokenizer.chat_template is not None)
        notes["conversations given an end token that the chat template lacks"] += any(
            view.lacks_end for view in views
        )
        notes[SPLIT] += len(views) > 1
        notes[LETTERS] += any(segment.hidden for view in views for segment in view.segments)
    return pieces


def _of_views(views: Sequence[View], row_id: str, group: int, *, joined: bool) -> list[Piece]:
    """The last view, of the whole conversation, has the row's id; others are also named by their turn."""
    names = [row_id + example_suffix(f"turn{view.turn}") for view in views[:-1]]
    return [
        Piece(name, view.segments, group, joined=joined, is_later=view is not views[0])
        for name, view in zip([*names, row_id], views, strict=True)
    ]


def _inside_loss(offsets: NDArray[np.int64], segments: Sequence[Segment]) -> NDArray[np.bool_]:
    """[n] True at tokens whose characters all belong to segments in the loss.

    A token of no characters (a space mark of its own, which the tokenizer put in) goes with the character
    behind it.
    """
    loss_mask = np.concatenate([*(np.full(len(s.text), s.in_loss, dtype=np.int64) for s in segments), [0]])
    total = np.concatenate([[0], np.cumsum(loss_mask)])
    starts = offsets[:, 0]
    ends = np.maximum(offsets[:, 1], starts + 1)
    return total[ends] - total[starts] == ends - starts


def _windows(example: CausalExample, size: int) -> list[CausalExample]:
    starts = range(0, max(len(example.input_ids) - 1, 1), size - 1)
    windows = []
    for number, start in enumerate(starts):
        is_target = example.is_target[start : start + size].copy()
        is_target[0] &= number == 0
        row_id = f"{example.row_id}#{number}" if number else example.row_id
        windows.append(CausalExample(row_id, example.input_ids[start : start + size], is_target))
    return windows
