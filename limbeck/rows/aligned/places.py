"""Where the tokens of rendered rows end among the bytes in the loss of all rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from limbeck.rows.aligned.chunks import OUTSIDE, common_borders
from limbeck.rows.aligned.ends import Ends, ends_of
from limbeck.rows.aligned.stretches import Stretch
from limbeck.rows.causal import CausalExample, Piece, assembled, texts_apart, texts_joined
from limbeck.rows.tokens import encode, encode_with_offsets, opening_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def placed(
    pieces: Sequence[Piece], stretches: Sequence[Sequence[Stretch]], tokenizer: "PreTrainedTokenizerBase"
) -> tuple[list[CausalExample], list[Ends]]:
    """The examples of `rows.causal.encoded`, and [n] the place at which each token ends.

    Places count the bytes in the loss of all rows (`Stretch.base`); OUTSIDE for tokens that are not learnt.
    """
    segments = texts_apart(pieces)
    apart = encode(tokenizer, segments)
    wholes = texts_joined(pieces)
    joined = encode_with_offsets(tokenizer, wholes)
    examples = assembled(pieces, tokenizer, apart, joined)
    opening = np.full(len(opening_ids(tokenizer)), OUTSIDE, dtype=np.int64)
    of_segments = iter(ends_of(tokenizer, segments, apart))
    of_wholes = iter(ends_of(tokenizer, wholes, [ids for ids, _ in joined]))
    places = []
    for piece, example, own in zip(pieces, examples, stretches, strict=True):
        if piece.joined:
            places.append(_inside_whole(piece, next(of_wholes), example.is_target, own))
            continue
        parts, left = [opening], iter(own)
        for segment in piece.segments:
            ends = next(of_segments)
            stretch = next(left) if segment.in_loss else None
            parts.append(_places(ends, stretch))
            if segment.ends:
                parts.append(np.asarray([stretch.last if stretch else OUTSIDE], dtype=np.int64))
        places.append(np.concatenate(parts))
    return examples, places


def row_chunks(
    students: Sequence[Ends], teachers: Sequence[Ends], stretches: Sequence[Sequence[Stretch]]
) -> tuple[list[Ends], list[Ends]]:
    """For each row the chunk number of every token, rising within a row but not from 0.

    OUTSIDE where nothing is learnt, and where one side ends a stretch without the other.
    """
    student, teacher = np.concatenate(students), np.concatenate(teachers)
    borders = common_borders(student[student >= 0], teacher[teacher >= 0])
    limits = np.asarray([stretch.last for own in stretches for stretch in own], dtype=np.int64)

    def numbered(places: Ends, rows: Sequence[Ends]) -> list[Ends]:
        numbers = np.searchsorted(borders, places, side="left").astype(np.int64)
        known = (places >= 0) & (numbers < len(borders))
        border = borders[numbers[known]]
        # A border of a later stretch would join the end of one text with the beginning of another.
        known[known] = np.searchsorted(limits, border) == np.searchsorted(limits, places[known])
        numbers[~known] = OUTSIDE
        return np.split(numbers, np.cumsum([len(row) for row in rows])[:-1])

    return numbered(student, students), numbered(teacher, teachers)


def _places(ends: Ends, stretch: Stretch | None) -> Ends:
    """Places of tokens that end at these bytes of the stretch's segment."""
    if stretch is None:
        return np.full(len(ends), OUTSIDE, dtype=np.int64)
    inside = ends - stretch.start
    places = stretch.base + np.where(
        inside > stretch.length, stretch.length + 1, np.maximum(inside, 0)
    ).astype(np.int64)
    if stretch.alone:
        places[inside <= 0] = OUTSIDE
    return places


def _inside_whole(
    piece: Piece, ends: Ends, is_target: NDArray[np.bool_], stretches: Sequence[Stretch]
) -> Ends:
    """Places where the segments of a row were tokenised as one text."""
    places = np.full(len(is_target), OUTSIDE, dtype=np.int64)
    left, start = iter(stretches), 0
    loss_mask = is_target[: len(ends)]
    for segment in piece.segments:
        stop = start + len(segment.text.encode())
        if segment.in_loss:
            stretch = next(left)
            here = np.flatnonzero(loss_mask & (ends > start) & (ends <= stop))
            places[here] = _places(ends[here] - start, stretch)
            if segment.ends:
                places[len(ends) :] = stretch.last
        start = stop
    return places
