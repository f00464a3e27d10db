"""Herding: rows whose mean is the mean of all."""

from collections.abc import Iterator

import numpy as np

from limbeck.selectors.pick import Pick, check_vectors


def herding(vectors: np.ndarray) -> Iterator[Pick]:
    """The row that brings the mean of the chosen ones nearest to where the mean of all pulls.

    x_t = argmax <w, x> over rows not yet chosen, then w += mean - x_t. The distance of the two means falls
    as 1 / t, at random as 1 / sqrt(t).

    Args:
        vectors: [N, D].

    Returns:
        All rows, each once; the score is <w, x_t>. Of equal ones the earlier row comes first.

    Raises:
        ConfigError: vectors are not [N, D] and finite.

    Example:
        >>> [pick.row for pick in herding(np.array([[1.0, 0], [0, 1], [1, 1]]))]
        [2, 0, 1]

    Source:
        Welling 2009; Chen, Welling & Smola 2010, arXiv:1203.3472. There a row may come again; here a chosen
        one is masked, since the same row twice teaches nothing new.
    """
    vectors = check_vectors(vectors)
    mean = vectors.mean(0, dtype=np.float64)
    pull, free = mean.copy(), np.ones(len(vectors), dtype=bool)
    for _ in range(len(vectors)):
        # In float32: a product with float64 would copy the matrix for every row.
        gains = np.where(free, vectors @ pull.astype(np.float32), -np.inf)
        row = int(gains.argmax())
        yield Pick(row, float(gains[row]))
        free[row] = False
        pull += mean - vectors[row]
