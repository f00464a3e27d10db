"""Do two texts name the same numbers?"""

from collections.abc import Iterable, Iterator
from typing import Literal

from limbeck.gates.number_words import numbers_in
from limbeck.gates.reading import text_of
from limbeck.gates.verdict import Row, Verdict


def numbers_agree(
    rows: Iterable[Row],
    *,
    relative_to: str,
    column: str | None = None,
    words: bool = True,
    compat: Literal["released"] | None = None,
) -> Iterator[Verdict]:
    """Let rows through whose two texts name the same numbers, however they are written.

    Args:
        rows: to judge, each alone.
        relative_to: the column to compare with.
        column: the text; none: the row's answer.
        words: read English number words too: `twenty-one` is 21.
        compat: `released` lets numbers be lost, as the official code does by mistake.

    Yields:
        reasons `added` and `lost`; the detail lists the numbers.

    Example:
        >>> pairs = ("two of 1,000", "2 of 1000"), ("two of 3", "2")
        >>> rows = [{"question": question, "answer": answer} for question, answer in pairs]
        >>> [(one.reason, one.detail) for one in numbers_agree(rows, relative_to="question")]
        [('accepted', ''), ('lost', ['3'])]

    Source:
        Jung et al. 2023, arXiv:2305.16635; jaehunjung1/impossible-distillation,
        `pipeline/filter.py:filter_number`: both its conditions run over the new text's numbers, so that
        lost ones are never found. Numbers are read there by a spaCy model, here by rules.
    """
    for row in rows:
        before, after = (numbers_in(text_of(row, name), words=words) for name in (relative_to, column))
        added = [number for number in after if number not in before]
        lost = [number for number in before if number not in after]
        if added:
            yield Verdict(None, False, "added", added)
        elif lost and compat is None:
            yield Verdict(None, False, "lost", lost)
        else:
            yield Verdict(None, True)
