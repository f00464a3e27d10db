"""K-center: no row far from a chosen one."""

from collections.abc import Iterator

import numpy as np

from limbeck.core.errors import ConfigError
from limbeck.selectors.pick import Pick, check_share, check_vectors


def k_center(
    vectors: np.ndarray, *, first: int | None = None, outliers: float = 0.0, neighbours: int = 10
) -> Iterator[Pick]:
    """The row farthest from all chosen ones next: covers the set with balls of nearly the least radius.

    After k rows the largest distance of any row to its nearest chosen one is at most twice the best that
    k rows can reach. Only one distance a row is held: O(N k D) time, O(N) memory beside the vectors.

    Args:
        vectors: [N, D]; Euclidean distance, which for unit vectors orders as the cosine does.
        first: the row to begin with; None: the one nearest to the mean.
        outliers: share of the rows in [0, 1) that is left out beforehand: those with the most distant
            neighbours, which k-center would take first.
        neighbours: how many neighbours a row's loneliness is measured by.

    Returns:
        All rows but the outliers; the score is the distance to the rows chosen before (0 for the first).
        Of equal ones the earlier row comes first.

    Raises:
        ConfigError: vectors are not [N, D] and finite, or `first` is no row that may be taken.

    Example:
        >>> [pick.row for pick in k_center(np.array([[0.0], [1], [10], [11]]), first=0)]
        [0, 3, 1, 2]

    Source:
        Gonzalez 1985; Sener & Savarese 2018, arXiv:1708.00489, as a core set. Greedy, without their integer
        program; the cut of outliers by density is ours.
    """
    vectors = check_vectors(vectors)
    check_share(outliers=outliers)
    nearest = np.full(len(vectors), np.inf, dtype=np.float32)
    nearest[_lonely(vectors, outliers, neighbours)] = -1.0
    if first is not None and not (0 <= first < len(vectors) and nearest[first] > 0):
        raise ConfigError(
            f"first must be a row among {len(vectors)} that is no outlier, got {first}. Leave it out."
        )
    row = _middle(vectors, nearest > 0) if first is None else first
    squares, score = np.einsum("nd,nd->n", vectors, vectors), 0.0
    for _ in range(int((nearest > 0).sum())):
        yield Pick(row, score)
        # One product with the matrix; differences would be a second matrix for every row.
        distances = squares + squares[row] - 2 * (vectors @ vectors[row])
        np.minimum(nearest, np.sqrt(np.maximum(distances, 0)), out=nearest)
        nearest[row] = -1.0
        row = int(nearest.argmax())
        score = float(nearest[row])


def _middle(vectors: np.ndarray, allowed: np.ndarray) -> int:
    distances = ((vectors - vectors[allowed].mean(0)) ** 2).sum(1)
    return int(np.where(allowed, distances, np.inf).argmin())


def _lonely(vectors: np.ndarray, share: float, neighbours: int) -> np.ndarray:
    count = int(share * len(vectors))
    if not count:
        return np.zeros(0, dtype=int)
    from sklearn.neighbors import NearestNeighbors

    asked = min(neighbours, len(vectors) - 1)
    found, _ = NearestNeighbors(n_neighbors=asked).fit(vectors).kneighbors()
    return np.argsort(-found[:, -1], kind="stable")[:count]
