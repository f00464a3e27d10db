"""Rows by a number of theirs."""

from collections.abc import Iterator

import numpy as np

from limbeck.selectors.pick import Pick, check_numbers


def top_k(scores: np.ndarray, *, highest: bool = True) -> Iterator[Pick]:
    """The rows with the highest numbers first.

    Args:
        scores: [N] a number a row: of a column, or the loss of a scorer.
        highest: false takes the lowest first.

    Returns:
        All rows; the score is the number itself. Of equal ones the earlier row comes first.

    Raises:
        ConfigError: a number is not finite.

    Example:
        >>> [pick.row for pick in top_k(np.array([0.2, 0.9, 0.2]))]
        [1, 0, 2]

    Source:
        No paper: what filters by reward, perplexity or a judge's score do once the number is there.
    """
    check_numbers(scores=scores)
    for row in np.argsort(-scores if highest else scores, kind="stable"):
        yield Pick(int(row), float(scores[row]))
