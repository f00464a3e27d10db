"""Rows that are neither too easy nor hopeless."""

from collections.abc import Iterator

import numpy as np

from limbeck.core.errors import ConfigError
from limbeck.selectors.pick import Pick, check_numbers


def difficulty(
    scores: np.ndarray, *, low: float | None = None, high: float | None = None, highest: bool = False
) -> Iterator[Pick]:
    """The rows whose number lies in a band, from one end of it to the other.

    With a column of pass rates, `high` leaves out questions that the student already solves and the lowest
    rates, the hardest questions, come first. With the loss of a scorer, a high number is hard: `low`
    leaves out what is known, and `highest: true` begins with the hardest.

    Args:
        scores: [N] pass rates, or losses in nats.
        low: the least number that is kept; None: no bound.
        high: the greatest number that is kept; None: no bound.
        highest: begin with the greatest number.

    Returns:
        The rows in the band; the score is the number. Of equal ones the earlier row comes first.

    Raises:
        ConfigError: a number is not finite, no bound is given, or `low` is above `high`.

    Example:
        >>> [pick.row for pick in difficulty(np.array([0.0, 1.0, 0.5]), high=0.9)]
        [0, 2]

    Source:
        Wu et al. 2025 (DED), arXiv:2508.09883, drops questions by the student's pass rate; its bound is not
        published.
    """
    check_numbers(scores=scores)
    if low is None and high is None:
        raise ConfigError("difficulty must have a bound, got neither low nor high. Use top_k to order alone.")
    least, greatest = -np.inf if low is None else low, np.inf if high is None else high
    if least > greatest:
        raise ConfigError(f"low must be at most high, got {low} and {high}.")
    for row in np.argsort(-scores if highest else scores, kind="stable"):
        if least <= scores[row] <= greatest:
            yield Pick(int(row), float(scores[row]))
