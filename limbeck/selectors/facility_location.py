"""Facility location: every row has a chosen one like it."""

import heapq
from collections.abc import Iterator

import numpy as np

from limbeck.selectors.pick import Pick, check_vectors

_BLOCK = 2**25  # similarities that are held at once while the first gains are found: 128 MB


def facility_location(vectors: np.ndarray) -> Iterator[Pick]:
    """The row that most raises the sum over all rows of the similarity to their nearest chosen one.

    f(S) = sum_i max_{j in S} (1 + cos(i, j)) / 2. Greedy reaches 1 - 1/e of the best sum. It is lazy: a
    gain can only fall, so that most are never computed again. The first round costs O(N^2 D) time; N x N
    is never held.

    Args:
        vectors: [N, D]; cosines are taken, so no row may be 0.

    Returns:
        All rows; the score is what f gains. Of equal ones the earlier row comes first.

    Raises:
        ConfigError: vectors are not [N, D] and finite.

    Example:
        >>> [pick.row for pick in facility_location(np.array([[1.0, 0], [3, 1], [0, 1], [1, 3]]))][:2]
        [1, 2]

    Source:
        Nemhauser, Wolsey & Fisher 1978; lazy as in Minoux 1978. For training sets: Wei, Iyer & Bilmes 2015.
    """
    vectors = check_vectors(vectors)
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    queue = [(-gain, row) for row, gain in enumerate(_alone(units))]
    heapq.heapify(queue)
    best = np.zeros(len(units), dtype=np.float32)
    while queue:
        _, row = heapq.heappop(queue)
        alike = (1 + units @ units[row]) / 2
        gain = float(np.maximum(alike - best, 0).sum(dtype=np.float64))
        if queue and (-gain, row) > queue[0]:
            heapq.heappush(queue, (-gain, row))
            continue
        yield Pick(row, gain)
        np.maximum(best, alike, out=best)


def _alone(units: np.ndarray) -> Iterator[float]:
    """The gain of each row as the first one."""
    height = max(1, _BLOCK // len(units))
    for start in range(0, len(units), height):
        alike = (1 + units[start : start + height] @ units.T) / 2
        yield from alike.sum(1, dtype=np.float64).tolist()
