"""Of several answers to one question, those that most of them agree on."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from limbeck.core.checks import check_fraction
from limbeck.gates.exact_duplicate import normalised
from limbeck.gates.final_answers import final_answer
from limbeck.gates.number_words import numbers_in
from limbeck.gates.reading import text_of
from limbeck.gates.verdict import Row, Verdict


def self_consistency(
    groups: Iterable[Sequence[Row]],
    *,
    minimum: float = 0.5,
    column: str | None = None,
    compare: Literal["final", "text"] = "final",
) -> Iterator[Verdict]:
    """Let those answers through that the largest part of all answers to their question agrees on.

    Args:
        groups: all answers to one question together.
        minimum: share of the answers that must agree, in [0, 1], included.
        column: the text; none: the row's answer.
        compare: the `final` answer (boxed, after ####, in <answer>, after `answer is`, or the last
            number), or the whole `text`; both without case and punctuation, numbers by their value.

    Yields:
        score: the share of answers that agree with this one; reasons `minority`, and `disagreement` where no
        answer has a share of `minimum`, or two have the largest.

    Example:
        >>> group = [{"answer": f"#### {number}"} for number in ("7", "7.0", "8")]
        >>> [(round(one.score, 2), one.reason) for one in self_consistency([group])]
        [(0.67, 'accepted'), (0.67, 'accepted'), (0.33, 'minority')]

    Source:
        Wang et al. 2022, arXiv:2203.11171 (majority vote; without a least share there).
    """
    check_fraction(minimum=minimum)
    for group in groups:
        votes = [_vote(text_of(row, column), compare) for row in group]
        counts = Counter(votes)
        (first, most), *others = counts.most_common(2)
        is_tied = bool(others) and others[0][1] == most
        for vote in votes:
            share = counts[vote] / len(votes)
            if is_tied or most / len(votes) < minimum:
                yield Verdict(share, False, "disagreement", vote)
            elif vote == first:
                yield Verdict(share, True, detail=vote)
            else:
                yield Verdict(share, False, "minority", vote)


def _vote(text: str, compare: str) -> str:
    found = final_answer(text) if compare == "final" else text
    numbers = numbers_in(found, words=False)
    if (
        compare == "final"
        and len(numbers) == 1
        and not any(sign.isalpha() or sign in "/%^" for sign in found)
    ):
        return numbers[0]
    return normalised(found) or found.strip()
