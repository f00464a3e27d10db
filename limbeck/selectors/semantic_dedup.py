"""Rows that say the same as an earlier one are left out."""

from collections.abc import Iterator

import numpy as np

from limbeck.core.errors import ConfigError
from limbeck.core.seeds import derived_seed
from limbeck.selectors.pick import Pick, check_vectors

_ROWS_A_CLUSTER = 1000  # a cluster of so many is compared at once: 4 MB of cosines


def semantic_dedup(
    vectors: np.ndarray, *, threshold: float = 0.95, clusters: int | None = None, seed: int = 0
) -> Iterator[Pick]:
    """The rows whose cosine to every kept row of their cluster is at most a threshold, in their order.

    Args:
        vectors: [N, D].
        threshold: cosine above which a row repeats another, in (-1, 1).
        clusters: of k-means, within which rows are compared; None: one for every 1,000 rows. With 1, all
            pairs are compared.
        seed: of k-means.

    Returns:
        The kept rows in the order they came in; the score is the highest cosine to a kept row of the cluster
        (-1 for its first).

    Raises:
        ConfigError: vectors are not [N, D] and finite, or a setting is outside its range.

    Example:
        >>> [pick.row for pick in semantic_dedup(np.array([[1.0, 0], [2, 0.1], [0, 1]]))]
        [0, 2]

    Source:
        Abbas et al. 2023 (SemDeDup), arXiv:2303.09540. There the row nearest to its cluster's centre goes and
        the farthest stays; here the first one stays, so that an order by quality is kept.
    """
    if not -1 < threshold < 1 or (clusters is not None and clusters < 1):
        raise ConfigError(
            f"threshold must lie in (-1, 1) and clusters be at least 1, got {threshold} and {clusters}."
        )
    vectors = check_vectors(vectors)
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cluster = _clusters(units, min(len(units), clusters or -(-len(units) // _ROWS_A_CLUSTER)), seed)
    nearest = np.full(len(units), -1.0, dtype=np.float32)
    for row in range(len(units)):
        if nearest[row] > threshold:
            continue
        yield Pick(row, float(nearest[row]))
        mates = row + 1 + np.flatnonzero(cluster[row + 1 :] == cluster[row])
        nearest[mates] = np.maximum(nearest[mates], units[mates] @ units[row])


def _clusters(units: np.ndarray, count: int, seed: int) -> np.ndarray:
    if count == 1:
        return np.zeros(len(units), dtype=int)
    from sklearn.cluster import MiniBatchKMeans

    state = derived_seed(seed, "k-means") % 2**32
    found = MiniBatchKMeans(count, random_state=state, n_init=3).fit_predict(units)
    return np.asarray(found)
