"""The same rows rendered for two causal models with different tokenizers, chunk by chunk aligned."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.kinds import kind_named, kinds_that
from limbeck.rows.aligned.cache import kept
from limbeck.rows.aligned.cuts import Side, Sides, answer_within, renumbered, windows, without_unpredicted
from limbeck.rows.aligned.places import placed, row_chunks
from limbeck.rows.aligned.stretches import stretches_of
from limbeck.rows.causal import ANSWERS_CUT, BEYOND, TEXTS_CUT, Piece, pieces_of
from limbeck.rows.kinds import Kind
from limbeck.rows.problems import LongPrompt
from limbeck.rows.ragged import list_column
from limbeck.rows.render import batches, checked_kind, rendered_rows, table_of
from limbeck.rows.rendering import Rendering
from limbeck.rows.too_long import refused_or_left_out, without

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHUNKS = "chunks"
"""Column of aligned rows: list of int32, the chunk of each token from 0 within its row, -1 outside."""

NO_CHUNK = "rows without a chunk that both tokenizers bound"
"""A note of `rows.render.notes_of`."""


class Pair(NamedTuple):
    """The same rows in the same order, as the student and as the teacher reads them."""

    student: Dataset
    teacher: Dataset


def render_pair(
    rows: Dataset,
    student_tokenizer: "PreTrainedTokenizerBase",
    teacher_tokenizer: "PreTrainedTokenizerBase",
    rendering: Rendering,
    *,
    teacher_max_length: int | None = None,
    cache: Path | None = None,
) -> Pair:
    """Token ids of every row for both models, and which chunk of text in the loss each token belongs to.

    Prompts are written with each side's own template and are not aligned. Of text in the loss, chunks begin
    and end at the same byte on both sides and none is finer; an end token, or what a template
    writes behind a turn, is a chunk of its own. A token that no model predicts (the first of a row
    without a begin token) leaves its chunk out on both sides.

    Plain text that is too long for either side is cut into windows that end at the same chunk on both; an
    answer is cut at the last chunk that fits both, and then its end is not taught. Where nothing has to be
    cut elsewhere for the teacher's sake, the student's columns are those of `rows.render.render`.

    Args:
        rows: of a kind that causal models learn from.
        student_tokenizer: a fast one, as the teacher's.
        teacher_tokenizer: its vocabulary and its templates may be others.
        rendering: the student's; `max_length` limits the student's tokens.
        teacher_max_length: most tokens of a row for the teacher; None for no limit.
        cache: folder in which pairs are kept by what they are made of, and found again; None keeps none.

    Returns:
        Two datasets with the columns of `rows.render.render` and `chunks` (`CHUNKS`); equal row ids. Notes
        of what was cut are the student's (`rows.render.notes_of`).

    Raises:
        ConfigError: `rendering` is not for a causal model.
        RowError: as `rows.render.render`, of either side; or the two templates write text in the loss that
            does not begin alike, or in unequally many stretches.
        ModelError: a tokenizer lacks what is needed (an end token; characters of tokens).
    """
    if not kind_named(rendering.model_kind).decoder_only:
        raise ConfigError(
            f"model_kind must be {kinds_that('decoder_only')} for two tokenizers, got {rendering.model_kind}."
        )
    if teacher_max_length is not None and teacher_max_length < 2:  # one token to read and one to predict
        raise ConfigError(f"teacher_max_length must be at least 2 or None, got {teacher_max_length}.")
    tokenizers = (student_tokenizer, teacher_tokenizer)
    student, teacher = kept(
        cache, rows, tokenizers, [rendering, teacher_max_length],
        lambda: _rendered(rows, tokenizers, rendering, teacher_max_length),
    )  # fmt: skip
    return Pair(student, teacher)


def _rendered(
    rows: Dataset,
    tokenizers: "tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]",
    rendering: Rendering,
    teacher_max_length: int | None,
) -> tuple[Dataset, Dataset]:
    kind = checked_kind(rows, rendering)
    limits = (rendering.max_length, teacher_max_length)
    notes: Counter[str] = Counter()
    problems: list[Problem] = []
    tables: tuple[list[pa.Table], list[pa.Table]] = ([], [])
    for some in batches(rows, rendering, problems):
        made: list[Sides] = []
        for sides in _aligned(some, kind, tokenizers, rendering, notes, problems):
            made += _cut(sides, kind, limits, notes, problems)
        for number, side_tables in enumerate(tables):
            side_tables.append(_table([sides[number] for sides in made], rendering))
    gone = refused_or_left_out(rows, problems, rendering.max_length, notes)
    student, teacher = (
        rendered_rows(without(side_tables, gone) or [_table([], rendering)], notes) for side_tables in tables
    )
    return student, teacher


def _aligned(
    rows: Sequence[dict],
    kind: Kind,
    tokenizers: "tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]",
    rendering: Rendering,
    notes: Counter[str],
    problems: list[Problem],
) -> list[Sides]:
    """Rows of a batch for both sides, uncut; none where some cannot be rendered."""
    wrong: list[Problem] = []
    pieces, others = _both_pieces(rows, kind, tokenizers, rendering, notes, wrong)
    stretches = stretches_of(pieces, others, wrong) if not wrong else ([], [])
    problems += dict.fromkeys(wrong)
    if wrong or not rows:
        return []
    student, teacher = (
        placed(own, parts, tokenizer)
        for own, parts, tokenizer in zip((pieces, others), stretches, tokenizers, strict=True)
    )
    numbers = row_chunks(student[1], teacher[1], stretches[0])
    return [
        (Side(ours, our_chunks), Side(theirs, their_chunks))
        for ours, our_chunks, theirs, their_chunks in zip(
            student[0], numbers[0], teacher[0], numbers[1], strict=True
        )
    ]


def _both_pieces(
    rows: Sequence[dict],
    kind: Kind,
    tokenizers: "tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]",
    rendering: Rendering,
    notes: Counter[str],
    problems: list[Problem],
) -> tuple[list[Piece], list[Piece]]:
    """Pieces of both sides, as many of each row: if one template rewrites turns, both learn them apart."""
    for one_each in (False, True):
        own, found = Counter[str](), list[Problem]()
        pieces, others = (
            pieces_of(rows, kind, tokenizer, rendering, notes=kept, problems=found, one_each=one_each)
            for tokenizer, kept in zip(tokenizers, (own, Counter[str]()), strict=True)
        )
        if found or [one.row_id for one in pieces] == [one.row_id for one in others]:
            break
    notes.update(own)
    problems += found
    return pieces, others


def _cut(
    sides: Sides,
    kind: Kind,
    limits: tuple[int, int | None],
    notes: Counter[str],
    problems: list[Problem],
) -> list[Sides]:
    """The windows of a text, or an answer within both limits, chunks counted from 0."""
    sides = without_unpredicted(sides)
    if kind is Kind.TEXT:
        made = windows(sides, limits)
        notes[TEXTS_CUT] += len(made) > 1
    else:
        long = _long_prompts(sides, limits)
        if long and sides[0].example.is_later:
            notes[BEYOND] += 1
            return []
        problems += long
        made = [answer_within(sides, limits)]
        notes[ANSWERS_CUT] += any(new.size < old.size for new, old in zip(made[0], sides, strict=True))
    notes[NO_CHUNK] += sum(not (student.chunks >= 0).any() for student, _ in made)
    return [(renumbered(student), renumbered(teacher)) for student, teacher in made]


def _long_prompts(sides: Sides, limits: tuple[int, int | None]) -> list[Problem]:
    first, other = (int(side.example.is_target.argmax()) for side in sides)
    row_id = sides[0].example.row_id
    found: list[Problem] = [LongPrompt.of(row_id, first)] if first >= limits[0] else []
    if limits[1] is not None and other >= limits[1]:
        message = f"its prompt must leave room within teacher_max_length {limits[1]}, got {other} tokens."
        found.append(Problem(f"row {row_id}", message))
    return found


def _table(sides: Sequence[Side], rendering: Rendering) -> pa.Table:
    table = table_of([side.example for side in sides], rendering)
    return table.append_column(CHUNKS, list_column([side.chunks for side in sides], np.int32))
