"""Rows by their length."""

from collections.abc import Iterator

import numpy as np

from limbeck.selectors.pick import Pick, check_numbers


def length_order(lengths: np.ndarray, *, longest: bool = False) -> Iterator[Pick]:
    """The shortest rows first: the plainest curriculum, and the plainest filter.

    Args:
        lengths: [N] tokens of each row where the step has a tokenizer, else characters.
        longest: begin with the longest.

    Returns:
        All rows; the score is the length. Of equal ones the earlier row comes first.

    Raises:
        ConfigError: a length is not finite.

    Example:
        >>> [pick.row for pick in length_order(np.array([7, 2, 5]))]
        [1, 2, 0]

    Source:
        Spitkovsky et al. 2010, "baby steps", order sentences by length.
    """
    check_numbers(lengths=lengths)
    for row in np.argsort(-lengths if longest else lengths, kind="stable"):
        yield Pick(int(row), float(lengths[row]))
