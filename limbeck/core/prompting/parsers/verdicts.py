"""Scores and comparisons of judges."""

import re
from typing import Any

from limbeck.core.prompting.parsers.failed import ParseFailed

_SCORE = re.compile(r"\[\[\s*(-?\d+(?:\.\d+)?)\s*\]\]")
_WINNER = re.compile(r"\[\[\s*(A|B|C|tie)\s*\]\]", flags=re.IGNORECASE)
_WINNERS = {"a": "a", "b": "b", "c": "tie", "tie": "tie"}


def score(text: str, *, lowest: float = 1, highest: float = 10) -> dict[str, Any]:
    """The last number in double brackets, and all that is written before it.

    Args:
        text: the judge's.
        lowest: that a score may be.
        highest: that a score may be.

    Raises:
        ParseFailed: `no_score`, or `score_range`.

    Example:
        >>> score("Right, but long. [[7]]")
        {'score': 7.0, 'critique': 'Right, but long.'}
    """
    found = list(_SCORE.finditer(text))
    if not found:
        raise ParseFailed("no_score", "there is no number in double brackets")
    value = float(found[-1].group(1))
    if not lowest <= value <= highest:
        raise ParseFailed("score_range", f"{value:g} does not lie in [{lowest:g}, {highest:g}]")
    return {"score": value, "critique": text[: found[-1].start()].strip()}


def winner(text: str) -> dict[str, Any]:
    """The last of [[A]], [[B]] and [[C]] (a tie), and all that is written before it.

    Raises:
        ParseFailed: `no_winner`.

    Example:
        >>> winner("Both are right. [[C]]")
        {'winner': 'tie', 'critique': 'Both are right.'}
    """
    found = list(_WINNER.finditer(text))
    if not found:
        raise ParseFailed("no_winner", "there is none of [[A]], [[B]] and [[C]]")
    return {"winner": _WINNERS[found[-1].group(1).lower()], "critique": text[: found[-1].start()].strip()}
