"""Runs of words that occur over and over: boilerplate of a teacher, or an answer that goes in circles."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import ConfigError
from limbeck.core.seeds import derived_seed
from limbeck.gates.reading import text_of
from limbeck.gates.verdict import Row, Verdict
from limbeck.gates.word_places import Words, merged, words_of

_FACTOR = 0x9E3779B97F4A7C15  # odd, so that no word of a run loses its place: 2^64 over the golden ratio


def ngram_repetition(
    everything: Sequence[Row],
    *,
    n: int = 20,
    most: int = 20,
    within: Literal["all", "row"] = "all",
    mode: Literal["row", "span"] = "row",
    column: str | None = None,
) -> Iterator[Verdict]:
    """Refuse rows with a run of n words that occurs more than so many times.

    Args:
        everything: all rows at once, each read twice; 8 bytes a word are held.
        n: words of a run, without case and punctuation.
        most: times that a run may occur.
        within: count over `all` rows, or in each `row` alone.
        mode: `row` refuses the row; `span` lets it through, with the stretches to cut in the detail.
        column: the text; none: the row's answer.

    Yields:
        score: how often the row's most frequent run occurs; reason `repeated`. The detail lists the
            stretches in
        characters, with their text.

    Source:
        Tian et al. 2025, arXiv:2505.14464 (20 tokens, more than 20 times); whether the row or the run goes
        is not said there. Runs are counted by a 64-bit hash: two different ones are taken for one with a
        chance of about (runs)^2 / 2^65.
    """
    if n < 1 or most < 1:
        raise ConfigError(f"n and most must be at least 1, got {n} and {most}.")
    counts = _counts(everything, n, column) if within == "all" else None
    for row in everything:
        words = words_of(text_of(row, column))
        hashes = _hashes(words, n)
        times = _times(hashes, counts)
        score = int(times.max()) if len(times) else 0
        places = np.flatnonzero(times > most)
        detail = _stretches(words, places, n)
        if len(places) and mode == "row":
            yield Verdict(score, False, "repeated", detail)
        else:
            yield Verdict(score, True, detail=detail)


Hashes = NDArray[np.uint64]


def _counts(rows: Sequence[Row], n: int, column: str | None) -> tuple[Hashes, NDArray[np.int64]]:
    """All hashes that occur, sorted, with how often."""
    found = [_hashes(words_of(text_of(row, column)), n) for row in rows]
    return np.unique(np.concatenate([np.empty(0, np.uint64), *found]), return_counts=True)


def _times(hashes: Hashes, counts: tuple[Hashes, NDArray[np.int64]] | None) -> NDArray[np.int64]:
    if counts is None:
        own = Counter(hashes.tolist())
        return np.array([own[one] for one in hashes.tolist()], np.int64)
    known, times = counts
    return times[np.searchsorted(known, hashes)]


def _hashes(words: Words, n: int) -> Hashes:
    """A number for every run of n words: a polynomial in the numbers of its words."""
    numbers = np.array([derived_seed(0, word) for word in words.words], np.uint64)
    runs = len(numbers) - n + 1
    total = np.zeros(max(runs, 0), np.uint64)
    for place in range(n if runs > 0 else 0):
        total = total * np.uint64(_FACTOR) + numbers[place : place + runs]
    return total


def _stretches(words: Words, places: NDArray[np.int64], n: int) -> list[dict[str, object]]:
    found = merged([words.stretch(int(place), int(place) + n - 1) for place in places])
    return [{"start": start, "end": end, "text": words.text[start:end]} for start, end in found]
