"""Is the answer spelt nearly as the expected one?"""

from collections.abc import Iterable, Iterator

from limbeck.core.checks import check_fraction
from limbeck.core.edit_similarity import LEAST
from limbeck.core.edit_similarity import anls as similarity
from limbeck.gates.reading import as_text, text_of, value_of
from limbeck.gates.verdict import Row, Verdict


def anls(
    rows: Iterable[Row], *, gold: str = "reference", column: str | None = None, minimum: float = LEAST
) -> Iterator[Verdict]:
    """Let answers through that are near the expected one by edits of characters.

    What is judged may differ in case and blanks: readings of documents have errors of single characters.

    Args:
        rows: to judge, each alone.
        gold: the column with the expected answer; a list of them: the nearest counts.
        column: the text; none: the row's answer.
        minimum: similarity that is let through, in [0, 1]; 1: equal but for case and blanks.

    Yields:
        score: the similarity, 0 where it is below 0.5 (ANLS); reasons `different` and `empty`.

    Raises:
        RowError: a row without the column.

    Example:
        >>> rows = [{"answer": text, "reference": "12 May"} for text in ("12 may", "12 Mai", "June")]
        >>> [(round(one.score, 2), one.reason) for one in anls(rows)]
        [(1.0, 'accepted'), (0.83, 'accepted'), (0.0, 'different')]

    Source:
        The metric of Biten et al. 2019, arXiv:1907.00490.
    """
    check_fraction(minimum=minimum)
    for row in rows:
        text, expected = text_of(row, column), value_of(row, gold)
        golds = [as_text(one) for one in (expected if isinstance(expected, list) else [expected])]
        score = similarity(text, golds)
        if not text.strip():
            yield Verdict(score, False, "empty")
        elif score >= minimum and score > 0:
            yield Verdict(score, True)
        else:
            yield Verdict(score, False, "different", f"expected {golds[0][:80]}")
