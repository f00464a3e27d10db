"""Rows unlike all before them: ROUGE-L against seeds and everything accepted so far."""

import math
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from typing import Any

from limbeck.core.checks import check_fraction
from limbeck.core.lineage import ID
from limbeck.gates.common_words import Unit, numbered
from limbeck.gates.reading import prompt_of, text_of
from limbeck.gates.verdict import Row, Verdict

_SLACK = 1e-9  # of a product that should be a whole number, against rounding


def novelty(
    rows: Iterable[Row],
    memory: MutableMapping[Any, Any],
    against: Sequence[Row] = (),
    *,
    maximum: float = 0.7,
    column: str | None = None,
    unit: Unit = "words",
) -> Iterator[Verdict]:
    """Refuse a row that is too much like a seed or like a row that passed before it.

    The order of the rows counts: of two that are alike the first one passes, and joins the pool.

    Args:
        rows: to judge, in order.
        memory: the pool, numbered words by length; empty at first.
        against: seeds; none: the pool starts empty.
        maximum: ROUGE-L F to the nearest that passes, included.
        column: the text to compare; none: the prompt, or the answer where there is none.
        unit: words, or characters for writing without blanks or Latin letters.

    Yields:
        score: F to the nearest of the pool, counted from `maximum` on (0 where none comes near); reasons
            `known`,
        and `unreadable` for a text without a word. The detail names the nearest.

    Example:
        >>> rows = [{"prompt": "a b c d"}, {"prompt": "a b x d"}, {"prompt": "p q r s"}]
        >>> [(one.score, one.passed) for one in novelty(rows, {})]
        [(0.0, True), (0.75, False), (0.0, True)]

    Source:
        Wang et al. 2022, arXiv:2212.10560; yizhongw/self-instruct, `bootstrap_instructions.py` (above 0.7
        refused). The pool is searched among lengths that can come near enough; scores are those of
        rouge-score.
    """
    check_fraction(maximum=maximum)
    pool = _Pool(memory, unit)
    if "seeded" not in memory:
        memory["seeded"] = True
        for place, seed in enumerate(against):
            pool.add(pool.read(_text(seed, column)), f"seed {seed.get(ID, place)}")
    for row in rows:
        words = pool.read(_text(row, column))
        if not words:
            yield Verdict(None, False, "unreadable", "no word of letters a-z or digits: try unit: characters")
            continue
        score, name = pool.nearest(words, maximum)
        if score > maximum:
            yield Verdict(score, False, "known", f"as {name}")
            continue
        memory["rows"] = memory.get("rows", 0) + 1
        pool.add(words, f"row {row.get(ID, memory['rows'] - 1)}")
        yield Verdict(score, True)


class _Pool:
    """Numbered texts by their length, with their names, in the memory of the gate."""

    def __init__(self, memory: MutableMapping[Any, Any], unit: Unit) -> None:
        self._numbers: dict[str, int] = memory.setdefault("numbers", {})
        self._by_length: dict[int, tuple[list[str], list[str]]] = memory.setdefault("pool", {})
        self._unit = unit

    def read(self, text: str) -> str:
        return numbered(text, self._numbers, self._unit)

    def add(self, words: str, name: str) -> None:
        if words:
            texts, names = self._by_length.setdefault(len(words), ([], []))
            texts.append(words)
            names.append(name)

    def nearest(self, words: str, maximum: float) -> tuple[float, str]:
        """The highest F above `maximum`, and whose it is; 0 where none is above."""
        from rapidfuzz.distance import LCSseq
        from rapidfuzz.process import extractOne

        best, nearest = maximum, ""
        for length, (texts, names) in self._by_length.items():
            size = len(words) + length
            shared = math.floor(best * size / 2 + _SLACK) + 1  # words in common that F needs to be above
            if shared > min(len(words), length):
                continue
            found = extractOne(words, texts, scorer=LCSseq.similarity, score_cutoff=shared)
            if found is not None:
                best, nearest = 2 * found[1] / size, names[found[2]]
        return (best, nearest) if nearest else (0.0, "")


def _text(row: Row, column: str | None) -> str:
    if column is not None:
        return text_of(row, column)
    return prompt_of(row) or text_of(row)
