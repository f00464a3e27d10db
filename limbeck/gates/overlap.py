"""ROUGE-L between two texts of a row."""

from collections.abc import Iterable, Iterator

from limbeck.core.checks import check_fraction
from limbeck.core.errors import ConfigError
from limbeck.core.overlap import rouge_l
from limbeck.gates.common_words import Unit, numbered
from limbeck.gates.reading import text_of
from limbeck.gates.verdict import ACCEPTED, Row, Verdict


def overlap(
    rows: Iterable[Row],
    *,
    relative_to: str,
    maximum: float = 1.0,
    minimum: float = 0.0,
    column: str | None = None,
    unit: Unit = "words",
) -> Iterator[Verdict]:
    """Let rows through whose two texts share a bounded part of their words, in order (ROUGE-L F).

    Args:
        rows: to judge, each alone.
        relative_to: the column to compare with.
        maximum: F that passes, included.
        minimum: F that passes, included.
        column: the text; none: the row's answer.
        unit: words, or characters for writing without blanks.

    Yields:
        score: F in [0, 1]; reasons `similar` and `different`.

    Example:
        >>> rows = [{"question": "a b c d", "answer": "a b x d"}]
        >>> [(one.score, one.reason) for one in overlap(rows, relative_to="question", maximum=0.7)]
        [(0.75, 'similar')]

    Source:
        Lin 2004; as a critic in Jung et al. 2023, arXiv:2305.16635 (at most 0.75 there). Equal to
        rouge-score.
    """
    check_fraction(maximum=maximum, minimum=minimum)
    if minimum > maximum:
        raise ConfigError(f"minimum must be at most maximum, got {minimum:g} and {maximum:g}.")
    for row in rows:
        numbers: dict[str, int] = {}
        first, second = (numbered(text_of(row, name), numbers, unit) for name in (relative_to, column))
        score = rouge_l(first, second)
        reason = "similar" if score > maximum else "different" if score < minimum else ACCEPTED
        yield Verdict(score, reason == ACCEPTED, reason)
