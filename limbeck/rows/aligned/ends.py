"""The byte of the text at which each token ends, whatever the tokenizer does to the text."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from limbeck.core.token_bytes import token_bytes
from limbeck.rows.marks import marks_of
from limbeck.rows.tokens import Ids, encode, encode_with_offsets

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Ends = NDArray[np.int64]

_TABLES = 4  # tokenizers whose bytes are kept: those of two models, and of two more while they change
_FIRST_ACCENT = 0x300  # the first combining character


class _Table(NamedTuple):
    """What the ids of a vocabulary spell: entry i is `flat[begins[i] : begins[i] + sizes[i]]`."""

    pieces: list[bytes]
    sizes: NDArray[np.int64]
    begins: NDArray[np.int64]
    flat: NDArray[np.uint8]
    blank: NDArray[np.bool_]


def token_ends(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> list[tuple[Ids, Ends]]:
    """Ids of every text, and the byte of its UTF-8 at which each token ends.

    See `ends_of`. The ids are those of `rows.tokens.encode`, without marks around the text.
    """
    ids = encode(tokenizer, texts)
    return list(zip(ids, ends_of(tokenizer, texts, ids), strict=True))


def ends_of(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str], ids: Sequence[Ids]) -> list[Ends]:
    """For each text, [n] the byte at which each of its tokens ends: never falling, the last at its end.

    So every byte belongs to a token, unless a text has none. Where the tokens spell the text (perhaps
    after one space that the tokenizer put in front), their own bytes are counted. Otherwise, where the
    tokenizer changes case, composes accents or drops white space, the characters it says they stand
    for count: characters without a token belong to the token behind them (accents to the one before
    them), and tokens that share a character are told apart by their bytes. Tokens whose share of a
    character cannot be known end together behind it, so that no border is put where the text has none.

    Args:
        tokenizer: a fast one where tokens do not spell the text.
        texts: the original texts; marks in them that are letters may be hidden (`rows.marks`).
        ids: of each text, as `rows.tokens.encode` gives them.

    Raises:
        ModelError: the tokenizer is a slow one, which does not know its characters.
    """
    table = _table(tokenizer, len(tokenizer))
    plain = list(map(marks_of(tokenizer).show, texts))
    found = [_spelt(text.encode(), own, table) for text, own in zip(plain, ids, strict=True)]
    rest = [place for place, ends in enumerate(found) if ends is None]
    if rest:
        offsets = [own for _, own in encode_with_offsets(tokenizer, [texts[place] for place in rest])]
        chosen = [plain[place] for place in rest]
        located = _ends_by_characters(chosen, [ids[place] for place in rest], offsets, table)
        for place, ends in zip(rest, located, strict=True):
            found[place] = ends
    return [ends for ends in found if ends is not None]


@lru_cache(maxsize=_TABLES)
def _table(tokenizer: "PreTrainedTokenizerBase", size: int) -> _Table:
    """`size` is part of the key, because tokens may be added to a tokenizer."""
    pieces = token_bytes(tokenizer)
    sizes = np.asarray([len(piece) for piece in pieces], dtype=np.int64)
    flat = np.frombuffer(b"".join(pieces), dtype=np.uint8)
    blank = np.asarray([piece.isspace() for piece in pieces], dtype=np.bool_)
    return _Table(pieces, sizes, np.cumsum(sizes) - sizes, flat, blank)


def _spelt(text: bytes, ids: Ids, table: _Table) -> Ends | None:
    """Ends of tokens that spell the text, or the text behind one space; None of others."""
    spelling = b"".join(map(table.pieces.__getitem__, ids.tolist()))
    before = len(spelling) - len(text)
    if not (before == 0 or (before == 1 and spelling[:1] == b" ")) or not spelling.endswith(text):
        return None
    return np.maximum(np.cumsum(table.sizes[ids]) - before, 0)


def _ends_by_characters(
    texts: Sequence[str], ids: Sequence[Ids], offsets: Sequence[NDArray[np.int64]], table: _Table
) -> list[Ends]:
    """All texts are read as one, so that nothing loops over tokens."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    widths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    byte_of = np.concatenate([[0], np.cumsum(widths)])
    bounds = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)])
    counts = np.asarray([len(own) for own in ids], dtype=np.int64)
    row = np.repeat(np.arange(len(texts)), counts)
    flat_ids = np.concatenate(ids).astype(np.int64)
    characters = np.concatenate(offsets) + bounds[row][:, None]
    characters[:, 1] = _with_accents(characters, codes, bounds[row + 1])
    starts, ends = byte_of[characters[:, 0]], np.maximum.accumulate(byte_of[characters[:, 1]])
    floor = byte_of[bounds[row]]
    shared = np.zeros(len(ends), dtype=np.bool_)
    shared[1:] = (starts[1:] < ends[:-1]) & (row[1:] == row[:-1])

    text = np.frombuffer("".join(texts).encode(), dtype=np.uint8)
    ends = _split_by_bytes(ends, shared, flat_ids, floor, text, table)
    known = ~shared
    places = np.flatnonzero(shared)
    known[places] = _spells(places, ends, flat_ids, floor, text, table)

    ends[np.cumsum(counts)[counts > 0] - 1] = byte_of[bounds[1:]][counts > 0]
    ends = _joined(ends, ~known, starts, table.blank[flat_ids])
    split = np.split(ends, np.cumsum(counts)[:-1])
    return [own - byte_of[start] for own, start in zip(split, bounds[:-1], strict=True)]


def _with_accents(characters: NDArray[np.int64], codes: NDArray[np.uint32], stop: Ends) -> Ends:
    """Ends in characters, moved behind combining accents that were composed or stripped.

    They are the only characters without a token that belong to the token before them.
    """
    marks = [code for code in np.unique(codes[codes >= _FIRST_ACCENT]) if unicodedata.combining(chr(code))]
    ends = characters[:, 1]
    if not marks:
        return ends
    places = np.arange(len(codes) + 1)
    places[:-1][np.isin(codes, marks)] = len(codes)
    behind = np.minimum.accumulate(places[::-1])[::-1]
    following = np.minimum(np.append(characters[1:, 0], len(codes)), stop)
    return np.where(following >= ends, np.minimum(behind[ends], following), ends)


def _split_by_bytes(
    ends: Ends, shared: NDArray[np.bool_], ids: Ends, floor: Ends, text: NDArray[np.uint8], table: _Table
) -> Ends:
    """Where a token that shares characters spells the text before its end, the one before ends there.

    From the last token of each character to the first; as many rounds as a character has tokens.
    """
    ends = ends.copy()
    places = np.flatnonzero(shared)
    while len(places):
        places = places[_spells(places, ends, ids, floor, text, table)]
        starts = ends[places] - table.sizes[ids[places]]
        lower = starts < ends[places - 1]
        ends[places[lower] - 1] = starts[lower]
        places = places[lower] - 1
        places = places[shared[places]]
    return ends


def _spells(
    places: Ends, ends: Ends, ids: Ends, floor: Ends, text: NDArray[np.uint8], table: _Table
) -> NDArray[np.bool_]:
    """Whether the token at each place has bytes, and they stand in its text right before its end."""
    sizes = table.sizes[ids[places]]
    starts = ends[places] - sizes
    found = (sizes > 0) & (starts >= floor[places])
    sizes, starts, begins = sizes[found], starts[found], table.begins[ids[places[found]]]
    first = np.cumsum(sizes) - sizes
    within = np.arange(sizes.sum()) - np.repeat(first, sizes)
    equal = text[np.repeat(starts, sizes) + within] == table.flat[np.repeat(begins, sizes) + within]
    if len(first):
        found[found] = np.logical_and.reduceat(equal, first)
    return found


def _joined(ends: Ends, unknown: NDArray[np.bool_], starts: Ends, blank: NDArray[np.bool_]) -> Ends:
    """A token before one of unknown share ends with it; a mere space mark ends before it."""
    joins = np.append(unknown[1:], False)
    marks = joins & blank
    following = np.append(starts[1:], 0)
    ends = np.where(marks, np.minimum(ends, following), ends)
    last = np.where(joins & ~marks, len(ends), np.arange(len(ends)))
    ends = ends[np.minimum.accumulate(last[::-1])[::-1]]
    return np.minimum.accumulate(ends[::-1])[::-1]
