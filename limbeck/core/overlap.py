"""How much of two texts is the same, in order."""

import re
from collections.abc import Sequence

from rapidfuzz.distance import LCSseq

_OTHER = re.compile(r"[^a-z0-9]+")


def words_of(text: str) -> list[str]:
    """Words of a text as ROUGE counts them: small letters and digits, the rest is blank."""
    return _OTHER.sub(" ", text.lower()).split()


def rouge_l(one: Sequence[str], other: Sequence[str]) -> float:
    """F-measure of the longest common subsequence of two lists of words, 0 where either is empty.

    Source:
        Lin 2004, as `rouge_score` computes `rougeL` without a stemmer, at a small part of its time.

    Example:
        >>> rouge_l(words_of("a b c d"), words_of("A, b x d!"))
        0.75
    """
    if not one or not other:
        return 0.0
    return 2 * LCSseq.similarity(one, other) / (len(one) + len(other))
