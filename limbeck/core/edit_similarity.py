"""How near a text is to an expected one, by edits of characters."""

from collections.abc import Sequence

LEAST = 0.5
"""Similarities below are 0: an answer that is more wrong than right is another answer (ANLS)."""


def anls(text: str, expected: Sequence[str], *, least: float = LEAST) -> float:
    """Normalised Levenshtein similarity with the nearest of several expected texts; 0 below `least`.

    1 - edits / length of the longer text, of texts without case and with single blanks. Two empty texts are
    the same.

    Args:
        text: that is judged.
        expected: texts of which the nearest counts; none: 0.
        least: similarity below which it is 0, in [0, 1].

    Returns:
        In [0, 1].

    Example:
        >>> [anls(text, ["abc"]) for text in ("ABC", "xyz", "ab")]
        [1.0, 0.0, 0.6666666666666667]

    Source:
        Biten et al. 2019, arXiv:1907.00490, with 0.5 as the threshold; case and blanks as in the scorer of
        DocVQA. At exactly 0.5 the similarity counts, as it does there; in the paper's formula it is 0.
    """
    from rapidfuzz.distance import Levenshtein

    said = _plain(text)
    nearest = max((Levenshtein.normalized_similarity(said, _plain(one)) for one in expected), default=0.0)
    return float(nearest) if nearest >= least else 0.0


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
