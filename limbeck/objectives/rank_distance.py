"""Distance of two sets of probabilities by rank, with its signs, without sorting them.

With N(x) the number of ids more likely than x, sum_i |q_(i) - p_(i)| is the integral of |N_q(x) - N_p(x)|.
Probabilities are counted by the upper 16 bits of their float32 form. Where N_q - N_p has one sign over all
that a count holds, as nearly everywhere, the integral there follows from counts and sums; only where the
sides cross are probabilities sorted. The result is exact up to rounding.
"""

import numpy as np
from numpy.typing import NDArray

_COUNTS = 0x3F81  # 1.0 is the largest; float32 1.0 has 0x3F80 in front
_EDGES = (np.arange(_COUNTS + 1, dtype=np.uint32) << 16).view(np.float32).astype(np.float64)
_LOW, _HIGH = _EDGES[:-1], _EDGES[1:]


def rank_distance(q: NDArray[np.float32], p: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
    """sum_i |q_(i) - p_(i)| of probabilities [V] and [V'], the shorter side filled with zeros; and for each
    of q's [V] the sign of q_(i) - p_(i) at its rank i. NaN where a side is."""
    if np.isnan(q[0]) or np.isnan(p[0]):  # a softmax that met one has nothing else
        return np.nan, np.full_like(q, np.nan)
    at_q, at_p = _counted_at(q), _counted_at(p)
    in_q, in_p = (np.bincount(at, minlength=_COUNTS) for at in (at_q, at_p))
    above_q, above_p = (len(at) - np.cumsum(held) for at, held in ((at_q, in_q), (at_p, in_p)))
    ahead = above_q - above_p
    signs = np.where(ahead - in_p >= 0, 1.0, np.where(ahead + in_q <= 0, -1.0, 0.0))
    of_q, of_p = (np.take(signs.astype(np.float32), at, mode="clip") for at in (at_q, at_p))
    # The part of each probability above the lower edge of its count, and the full height of those above.
    total = np.multiply(of_q, q).sum(dtype=np.float64) - np.multiply(of_p, p).sum(dtype=np.float64)
    total += float((signs * (ahead * (_HIGH - _LOW) - (in_q - in_p) * _LOW)).sum())
    open_q, open_p = np.flatnonzero(of_q == 0), np.flatnonzero(of_p == 0)
    open_q = open_q[np.argsort(-q[open_q], kind="stable")]
    values_q, values_p = q[open_q], -np.sort(-p[open_p])
    counts_q, counts_p = at_q[open_q].astype(np.int64), _counted_at(values_p).astype(np.int64)
    total += _crossing(values_q, values_p, counts_q, counts_p, ahead, np.flatnonzero(signs == 0))
    # Rank of each among all of q; what p has at that rank is in the same count, above or below it.
    ranks = above_q[counts_q] + np.arange(len(open_q)) - np.searchsorted(-counts_q, -counts_q)
    places = ranks - above_p[counts_q]
    firsts = np.searchsorted(-counts_p, -counts_q)
    inside = (places >= 0) & (places < in_p[counts_q])
    found = np.where(places < 0, -1.0, 1.0)
    found[inside] = np.sign(values_q[inside] - values_p[(firsts + places)[inside]])
    of_q[open_q] = found
    return total, of_q


def _counted_at(probabilities: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.ascontiguousarray(probabilities).view("<u2")[1::2]


def _crossing(
    values_q: NDArray[np.float32],
    values_p: NDArray[np.float32],
    counts_q: NDArray[np.int64],
    counts_p: NDArray[np.int64],
    ahead: NDArray[np.int64],
    crossed: NDArray[np.int64],
) -> float:
    """The integral over the counts `crossed`, from all of both sides that lies there."""
    values = np.concatenate([_HIGH[crossed], values_q.astype(np.float64), values_p.astype(np.float64)])
    counts = np.concatenate([crossed, counts_q, counts_p])
    steps = np.concatenate([ahead[crossed], np.ones(len(values_q), int), -np.ones(len(values_p), int)])
    if not len(crossed):
        return 0.0
    # From the upper edge of each count down; the edge itself comes first.
    order = np.lexsort((-values, -counts))
    values, counts, steps = values[order], counts[order], steps[order]
    running = np.cumsum(steps)
    begins = np.searchsorted(-counts, -counts)
    height = running - (running[begins] - steps[begins])
    lower = np.append(values[1:], 0.0)
    is_last = np.append(counts[1:] != counts[:-1], True)
    lower[is_last] = _LOW[counts[is_last]]
    return float((np.abs(height) * (values - lower)).sum())
