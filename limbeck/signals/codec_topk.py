"""The `topk` payload: few ids of a position and their log-probabilities, in about 10 bits an id.

For each position, likeliest id first: the number of ids, the list its ids are looked up in, the tail's
level (a byte each), and whether others follow that were drawn from the tail (a bit); then for each id its
class (2 bits), its code, and the step down to its level; a drawn id's step is in fours of levels, as only
the value of an objective reads it.
The step is written in two parts, as Rice codes are: its low bits behind the id's code, as many as
the store says for that rank, the rest as so many zeros before a one in a stream of its own.
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from limbeck.signals.bits import MOST_BITS, mark, pack, windows
from limbeck.signals.levels import NO_TAIL, delta_for, ladder, nearest, tail_ladder
from limbeck.signals.lists import CLASSES, Lists
from limbeck.signals.lists import learn as learn_lists

COLUMNS = ("counts", "lists", "tails", "classes", "codes", "levels")
"""Streams of a row, in the order of `encode`; `DRAWS` follows in stores with drawn ids."""

DRAWS = "draws"

_METADATA = "limbeck"
_RANKS, _MOST_LOW_BITS = 24, 6
_DRAWN_SHIFT = 2
_SMALLEST_TAIL = 1e-12
_MASKS = ((1 << np.arange(33, dtype=np.uint64)) - 1).astype(np.uint32)
_QUARTERS = np.stack([np.arange(256) >> 2 * place & 3 for place in range(4)], 1).astype(np.uint8)


class Support(NamedTuple):
    """Ids of N positions, one after another; E of them in all.

    Attributes:
        counts: [N] ids of each position, kept and drawn; at least 1 is kept.
        ids: [E] likeliest first within a position, all different there.
        log_probs: [E] natural log-probabilities.
        log_tails: [N] log of the mass outside the kept ids; -inf without any.
        draws: [N] how many of the ids, the last ones, were drawn from the tail; None: nowhere any.
    """

    counts: NDArray[np.int64]
    ids: NDArray[np.int64]
    log_probs: NDArray[np.float64]
    log_tails: NDArray[np.float64]
    draws: NDArray[np.int64] | None = None

    @property
    def is_drawn(self) -> NDArray[np.bool_]:
        """[E] which ids were drawn."""
        if self.draws is None:
            return np.zeros(len(self.ids), np.bool_)
        ranks = np.arange(len(self.ids)) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        return ranks >= np.repeat(self.counts - self.draws, self.counts)

    def kept(self) -> "Support":
        """Without the drawn ids."""
        if self.draws is None:
            return self
        inside = ~self.is_drawn
        return Support(self.counts - self.draws, self.ids[inside], self.log_probs[inside], self.log_tails)


@dataclass(frozen=True)
class Codebook:
    """What the streams of a store are written and read with.

    Attributes:
        delta: step of the ladder of levels in sqrt(p).
        low_bits: bits of a step behind the code, by rank; 0 beyond.
        lists: of likely ids.
        most: kept and drawn ids of a position that has drawn ones; None: no ids are drawn.
    """

    delta: float
    low_bits: tuple[int, ...]
    lists: Lists
    most: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Streams of a row."""
        return COLUMNS if self.most is None else (*COLUMNS, DRAWS)

    def to_table(self) -> pa.Table:
        """As a file of the store keeps it: one list a row, the numbers as metadata."""
        numbers: dict[str, Any] = {
            "delta": self.delta,
            "low_bits": self.low_bits,
            "widths": self.lists.widths,
            "vocabulary": self.lists.vocabulary,
            "levels": ladder(self.delta).tolist(),
            "tail_levels": [None if value == -np.inf else value for value in tail_ladder().tolist()],
        }
        if self.most is not None:
            numbers["most"] = self.most
        flat = pa.array(self.lists.ids.ravel(), pa.int32())
        lists = pa.FixedSizeListArray.from_arrays(flat, self.lists.ids.shape[1])
        return pa.table({"ids": lists}).replace_schema_metadata({_METADATA: json.dumps(numbers)})

    @classmethod
    def from_table(cls, table: pa.Table) -> "Codebook":
        """Read it back."""
        numbers = json.loads(table.schema.metadata[_METADATA.encode()])
        ids = table["ids"].combine_chunks()
        ids = ids.chunk(0) if isinstance(ids, pa.ChunkedArray) else ids
        flat = ids.flatten().to_numpy().reshape(len(ids), -1)
        lists = Lists(flat, tuple(numbers["widths"]), numbers["vocabulary"])
        return cls(numbers["delta"], tuple(numbers["low_bits"]), lists, numbers.get("most"))


def learn_codebook(
    support: Support, *, vocabulary: int, quantisation: float, most: int, positions: int
) -> Codebook:
    """A codebook for positions like those of `support`.

    Args:
        support: a sample.
        vocabulary: ids lie below it; at most 2^19.
        quantisation: nats of KL that rounding may cost on average.
        most: ids that a position may have.
        positions: that will be written with it.
    """
    counts = support.kept().counts
    # Positions with drawn ids keep fewer; those without may keep `most`, but the budget is for the average.
    kept = most if support.draws is None else max(most // 2, math.ceil(counts.mean()))
    delta = delta_for(quantisation, kept)
    firsts = np.cumsum(support.counts) - support.counts
    lists = learn_lists(support.ids, support.counts, vocabulary, positions)
    steps = _steps(support, firsts, delta)
    room = MOST_BITS - lists.widths[-1]
    return Codebook(
        delta, _low_bits(steps, firsts, counts, room), lists, None if support.draws is None else most
    )


def encode(book: Codebook, support: Support, positions: Sequence[int]) -> dict[str, list[bytes]]:
    """Streams of rows: for every name of `book.columns` one a row.

    Args:
        book: of the store.
        support: of all rows' positions, row after row.
        positions: of each row, at least one.
    """
    counts, lists = support.counts, book.lists
    firsts = np.cumsum(counts) - counts
    steps = _steps(support, firsts, book.delta)
    chosen, places = lists.place(support.ids, counts)
    ranks = np.arange(len(steps)) - np.repeat(firsts, counts)
    low = np.asarray([*book.low_bits, 0])[np.minimum(ranks, _RANKS)]
    low[support.is_drawn] = 0
    starts = lists.starts
    classes = np.searchsorted(starts[1:], places, side="right")
    codes = np.where(classes == CLASSES - 1, support.ids, places - starts[classes])
    widths = np.asarray(lists.widths)[classes] + low
    row_ids = np.add.reduceat(counts, _begins(positions))
    draws = np.zeros_like(counts) if support.draws is None else support.draws
    found = {
        "counts": _cut((counts - draws).astype(np.uint8), positions),
        "lists": _cut(chosen, positions),
        "tails": _cut(_tail_levels(support.log_tails), positions),
        "classes": _fields(classes, np.full(len(classes), 2), row_ids),
        "codes": _fields(codes << low | steps & (1 << low) - 1, widths, row_ids),
        "levels": _fields(None, (steps >> low) + 1, row_ids),
    }
    if book.most is not None:
        assert (counts[draws > 0] == book.most).all(), "drawn ids fill a position"
        ones = np.ones(len(counts), np.int64)
        found[DRAWS] = _fields((draws > 0).astype(np.int64), ones, np.asarray(positions))
    return found


def decode(book: Codebook, streams: Mapping[str, Sequence[Any]]) -> Support:
    """The ids of all positions of some rows, row after row; kept probabilities and tail add up to 1.

    Args:
        book: of the store.
        streams: for every name of `book.columns`, the bytes of each row; of at least one row.
    """
    lists = book.lists
    kept = counts = _flat(streams["counts"]).astype(np.int64)
    chosen = _flat(streams["lists"])
    tails = tail_ladder()[_flat(streams["tails"])]
    sizes = [len(one) for one in streams["counts"]]
    begins = _begins(sizes)
    draws = None
    if book.most is not None:
        draws = np.where(_bits(streams[DRAWS], sizes), book.most - kept, 0)
        counts = kept + draws
    row_ids = np.add.reduceat(counts, begins)
    ends = np.cumsum(counts)
    firsts = ends - counts
    row_firsts = firsts[begins]
    is_split, split = _split(book.low_bits, kept, firsts)
    drawn = None if draws is None else _last(draws, ends)
    widths, masks, starts = _by_class(
        streams["classes"],
        row_ids,
        np.asarray(lists.widths, np.uint8),
        _MASKS[list(lists.widths)],
        np.append(lists.starts[:-1], lists.ids.size).astype(np.int32),
    )
    widths[is_split] += split
    codes = _codes(streams["codes"], widths, row_ids, row_firsts)
    steps = _unary(streams["levels"], row_firsts)
    halves = codes[is_split]
    steps[is_split] = steps[is_split] << split | halves & _take(_MASKS, split)
    if drawn is not None:
        steps[drawn] <<= _DRAWN_SHIFT
    codes[is_split] = halves >> split
    codes &= masks
    ids = _ids(lists, chosen, counts, starts, codes.view(np.int32))
    levels = np.cumsum(steps, dtype=np.int32)
    levels -= np.repeat(levels[firsts] - steps[firsts], counts)
    log_probs = _take(ladder(book.delta, dtype=np.float32), levels)
    masses = _sums(np.exp(log_probs), firsts, None if draws is None else firsts + kept)
    excess = np.log(masses + np.exp(tails)).astype(np.float32)
    log_probs -= np.repeat(excess, counts)
    return Support(counts, ids, log_probs, tails - excess, draws)


def _flat(streams: Sequence[Any]) -> NDArray[np.uint8]:
    return np.concatenate([np.frombuffer(one, np.uint8) for one in streams])


def _bits(streams: Sequence[Any], sizes: Sequence[int]) -> NDArray[np.bool_]:
    joined, begins = _joined(streams)
    shift = np.repeat(8 * begins - _begins(sizes), sizes)
    found: NDArray[np.bool_] = np.unpackbits(joined, bitorder="little").view(np.bool_)
    return found[np.arange(len(shift)) + shift]


def _sums(
    masses: NDArray[np.float32], firsts: NDArray[np.int64], stops: NDArray[np.int64] | None
) -> NDArray[np.float32]:
    """Sums from each of `firsts` to its stop; without stops, to the next."""
    if stops is None:
        return np.add.reduceat(masses, firsts)
    borders = np.stack([firsts, stops], 1).ravel()
    sums: NDArray[np.float32] = np.add.reduceat(masses, borders[: -1 if stops[-1] == len(masses) else None])
    return sums[::2]


def _last(draws: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of the drawn ids: the last ones of each position."""
    most = int(draws.max(initial=0))
    back = np.arange(-most, 0)
    places = ends[:, None] + back
    return places.ravel() if len(draws) and draws.min() == most else places[back >= -draws[:, None]]


def _steps(support: Support, firsts: NDArray[np.int64], delta: float) -> NDArray[np.int64]:
    levels = nearest(support.log_probs, ladder(delta))
    drawn = support.is_drawn
    if support.draws is not None:
        # In fours from the last kept id's level on.
        last = np.repeat(levels[firsts + support.counts - support.draws - 1], support.counts)[drawn]
        half = 1 << _DRAWN_SHIFT - 1
        levels[drawn] = last + (levels[drawn] - last + half >> _DRAWN_SHIFT << _DRAWN_SHIFT)
    steps = np.diff(levels, prepend=0)
    steps[firsts] = levels[firsts]
    steps[drawn] >>= _DRAWN_SHIFT
    assert not len(steps) or steps.min() >= 0, "log-probabilities fall within a position"
    return steps


def _low_bits(
    steps: NDArray[np.int64], firsts: NDArray[np.int64], counts: NDArray[np.int64], room: int
) -> tuple[int, ...]:
    """The cheapest split of the steps at each of the first ranks."""
    return tuple(_cheapest(steps[firsts[counts > rank] + rank], room) for rank in range(_RANKS))


def _cheapest(steps: NDArray[np.int64], room: int) -> int:
    """Low bits that write these steps in the fewest bits."""
    choices = range(min(_MOST_LOW_BITS, room) + 1)
    return min(choices, key=lambda bits: int((steps >> bits).sum()) + bits * len(steps))


def _tail_levels(log_tails: NDArray[np.float64]) -> NDArray[np.uint8]:
    found = np.minimum(nearest(log_tails, tail_ladder()), NO_TAIL - 1)
    return np.where(log_tails > np.log(_SMALLEST_TAIL), found, NO_TAIL).astype(np.uint8)


def _begins(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64)


def _cut(values: NDArray[np.uint8], lengths: Sequence[int]) -> list[bytes]:
    borders = np.cumsum(lengths)[:-1]
    return [part.tobytes() for part in np.split(values, borders)]


def _fields(
    values: NDArray[np.int64] | None, widths: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[bytes]:
    """Values end to end, every row in whole bytes; without values, each a one behind zeros."""
    ends = np.cumsum(widths)
    bits = np.diff(ends[np.cumsum(rows) - 1], prepend=0)
    borders = np.concatenate([[0], np.cumsum((bits + 7) >> 3)])
    shift = 8 * borders[:-1] - (np.cumsum(bits) - bits)
    ends += np.repeat(shift, rows)
    size = int(borders[-1])
    stream = mark(ends - 1, size) if values is None else pack(values, widths, ends - widths, size)
    return [stream[a:b].tobytes() for a, b in itertools.pairwise(borders)]


def _joined(streams: Sequence[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return np.frombuffer(b"".join(streams), np.uint8), _begins([len(one) for one in streams])


def _by_class(
    streams: Sequence[Any], row_ids: NDArray[np.int64], *tables: NDArray[Any]
) -> Iterator[NDArray[Any]]:
    """[E] what each table [4] says of the class of each id; a byte of four classes is looked up at once."""
    joined, begins = _joined(streams)
    cuts = [slice(4 * begin, 4 * begin + size) for begin, size in zip(begins, row_ids, strict=True)]
    for table in tables:
        four = np.dtype(f"V{4 * table.itemsize}")
        found = _take(table[_QUARTERS].view(four).ravel(), joined).view(table.dtype)
        yield np.concatenate([found[cut] for cut in cuts])


def _ids(
    lists: Lists,
    chosen: NDArray[np.uint8],
    counts: NDArray[np.int64],
    starts: NDArray[np.int32],
    codes: NDArray[np.int32],
) -> NDArray[Any]:
    """[E] entries of the lists; of the last class, the codes themselves."""
    written = np.flatnonzero(starts == lists.ids.size)
    places = np.repeat(chosen.astype(np.int32) * lists.ids.shape[1], counts)
    places += starts
    places += codes
    ids = _take(lists.ids.ravel(), places)
    ids[written] = codes[written]
    return ids


def _split(
    low_bits: Sequence[int], counts: NDArray[np.int64], firsts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The ids whose step has low bits, and how many."""
    bits = np.trim_zeros(np.asarray(low_bits, np.uint8), "b")
    ranks = np.arange(len(bits))
    places, wide = firsts[:, None] + ranks, np.broadcast_to(bits, (len(firsts), len(bits)))
    if len(counts) and counts.min() >= len(bits):
        return places.ravel(), wide.ravel()
    inside = ranks < counts[:, None]
    return places[inside], wide[inside]


def _codes(
    streams: Sequence[Any], widths: NDArray[np.uint8], row_ids: NDArray[np.int64], firsts: NDArray[np.int64]
) -> NDArray[np.uint32]:
    joined, begins = _joined(streams)
    ends = np.cumsum(widths, dtype=np.int32)
    shift = 8 * begins - (ends[firsts] - widths[firsts])
    starts = ends - widths
    starts += np.repeat(shift.astype(np.int32), row_ids)
    found = _take(windows(joined), starts >> 3)
    starts &= 7
    found >>= starts.view(np.uint32)
    return found


def _unary(streams: Sequence[Any], firsts: NDArray[np.int64]) -> NDArray[np.int32]:
    joined, begins = _joined(streams)
    ones = np.flatnonzero(np.unpackbits(joined, bitorder="little").view(np.bool_))
    steps = np.empty(len(ones), np.int32)
    steps[0] = 0
    np.subtract(ones[1:], ones[:-1], out=steps[1:], casting="same_kind")
    steps -= 1
    steps[firsts] = ones[firsts] - 8 * begins
    return steps


def _take(table: NDArray[Any], places: NDArray[Any]) -> NDArray[Any]:
    # Places are right by construction; "clip" is what numpy does fastest.
    return np.take(table, places, mode="clip")
