"""Cutting a row that is too long at a place both of its token sequences share."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from limbeck.rows.aligned.chunks import OUTSIDE, Ends
from limbeck.rows.causal import CausalExample

_UNLIMITED = 2**62


class Side(NamedTuple):
    """A row as one side reads it: the example and, [n], the chunk of each token."""

    example: CausalExample
    chunks: Ends

    @property
    def size(self) -> int:
        """Its tokens."""
        return len(self.example.input_ids)

    def part(self, start: int, stop: int) -> "Side":
        """The tokens from `start` to `stop`."""
        cut = slice(start, stop)
        example = self.example._replace(
            input_ids=self.example.input_ids[cut], is_target=self.example.is_target[cut]
        )
        return Side(example, self.chunks[cut])


Sides = tuple[Side, Side]


def without_unpredicted(sides: Sides) -> Sides:
    """No model predicts the first token of a row, so its chunk cannot be compared."""
    firsts = {int(side.chunks[0]) for side in sides if side.size} - {OUTSIDE}
    if not firsts:
        return sides
    student, teacher = (
        side._replace(chunks=np.where(np.isin(side.chunks, list(firsts)), OUTSIDE, side.chunks))
        for side in sides
    )
    return student, teacher


def renumbered(side: Side) -> Side:
    """Its chunks counted from 0 without gaps; both sides have tokens of the same chunks."""
    inside = side.chunks >= 0
    own = side.chunks[inside]
    chunks = side.chunks.copy()
    chunks[inside] = np.cumsum(np.append(False, own[1:] != own[:-1]))[: len(own)]
    return side._replace(chunks=chunks)


def answer_within(sides: Sides, limits: tuple[int, int | None]) -> Sides:
    """The beginning of a row up to the last chunk that fits both sides; no chunk if none does."""
    if all(side.size <= _size(limit) for side, limit in zip(sides, limits, strict=True)):
        return sides
    borders = _borders(sides)
    fitting = _fitting(borders, np.asarray([_size(limit) for limit in limits]))
    stops = borders[fitting - 1] if fitting else [_size(limit) for limit in limits]
    student, teacher = (side.part(0, int(stop)) for side, stop in zip(sides, stops, strict=True))
    return (student, teacher) if fitting else (_unaligned(student), _unaligned(teacher))


def windows(sides: Sides, limits: tuple[int, int | None]) -> list[Sides]:
    """A long text as windows that end at the same chunk on both sides and overlap by one token.

    The last token of a window is read again as the first of the next, so every token but the very first
    is learnt once. A chunk too long for a window is cut between tokens of each side and compared nowhere.
    """
    borders = _borders(sides)
    ends = np.asarray([side.size for side in sides])
    borders = (
        np.concatenate([borders, ends[None]]) if not len(borders) or (borders[-1] < ends).any() else borders
    )
    rooms = np.asarray([_size(limit) for limit in limits])
    found: list[Sides] = []
    start, at = np.zeros(2, dtype=np.int64), 0
    while at < len(borders):
        fitting = _fitting(borders, start + rooms - bool(found))
        if fitting > at:
            at = fitting
            stops = [borders[at - 1]]
        else:
            stops = list(_even(start, borders[at], rooms - 1))
            at += 1
        for stop in stops:
            window = _window(sides, start, stop, len(found))
            found.append(window if fitting >= at else (_unaligned(window[0]), _unaligned(window[1])))
            start = stop
    return found


def _window(sides: Sides, start: NDArray[np.int64], stop: NDArray[np.int64], number: int) -> Sides:
    made = []
    for side, first, last in zip(sides, start.tolist(), stop.tolist(), strict=True):
        part = side.part(max(first - 1, 0) if number else 0, last)
        if number:
            is_target, chunks = part.example.is_target.copy(), part.chunks.copy()
            is_target[0], chunks[0] = False, OUTSIDE
            row_id = f"{part.example.row_id}#{number}"
            part = Side(part.example._replace(row_id=row_id, is_target=is_target), chunks)
        made.append(part)
    return made[0], made[1]


def _borders(sides: Sides) -> NDArray[np.int64]:
    """[C, 2] tokens of each side up to the end of each chunk."""
    columns = []
    for side in sides:
        places = np.flatnonzero(side.chunks >= 0)
        own = side.chunks[places]
        columns.append(places[np.append(own[1:] != own[:-1], np.ones(min(len(own), 1), dtype=bool))] + 1)
    return np.stack(columns, axis=1)


def _fitting(borders: NDArray[np.int64], most: NDArray[np.int64]) -> int:
    """How many borders lie within `most` tokens of each side."""
    return int(min(np.searchsorted(borders[:, side], most[side], side="right") for side in (0, 1)))


def _even(
    start: NDArray[np.int64], stop: NDArray[np.int64], rooms: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """Stops that cut the tokens from `start` to `stop` into equally many parts, each within its room."""
    sizes = stop - start
    count = int(np.max(-(-sizes // rooms)))
    for number in range(1, count + 1):
        yield start - (-sizes * number // count)


def _unaligned(side: Side) -> Side:
    return side._replace(chunks=np.full(side.size, OUTSIDE, dtype=np.int64))


def _size(limit: int | None) -> int:
    return _UNLIMITED if limit is None else limit
