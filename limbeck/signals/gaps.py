"""How far a distribution that was told in part is from another: KL over the told ids and one bucket."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from limbeck.signals.support import Top


class Gap(NamedTuple):
    """KL in nats a position over N positions.

    Attributes:
        mean: over them.
        most: at the worst one.
        positions: N.
    """

    mean: float
    most: float
    positions: int

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "Gap":
        """Of the KL of each position [N]."""
        return cls(float(values.mean()), float(values.max()), len(values))

    def __str__(self) -> str:
        return f"{self.mean:.2g} nats a position, {self.most:.2g} at the most, over {self.positions:,}"


def dense_gap(log_p: NDArray[np.floating], told: Top) -> NDArray[np.float64]:
    """[N] KL(p || told) over the told ids and all others as one outcome: a lower bound of the whole KL.

    Args:
        log_p: [N, V] log-probabilities.
        told: of the same positions.

    Example:
        >>> ids, half = np.array([[1]], np.int32), np.log([[0.5]]).astype(np.float32)
        >>> dense_gap(np.log([[0.25, 0.25, 0.5]]), Top(ids, half))  # p has 1/4 there, and 3/4 elsewhere
        array([0.13081204])
    """
    inside = told.ids >= 0
    own = np.take_along_axis(log_p, np.maximum(told.ids, 0).astype(np.int64), 1).astype(np.float64)
    own = np.where(inside, own, -np.inf)
    return _kl(own, np.where(inside, told.log_probs.astype(np.float64), -np.inf))


def told_gap(one: Top, other: Top) -> NDArray[np.float64]:
    """[N] KL(one || other) over the ids that both tell and all others as one outcome."""
    found = np.full(one.ids.shape, -np.inf)
    for line, (ids, wanted) in enumerate(zip(other.ids, one.ids, strict=True)):
        order = np.argsort(ids)
        place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
        there = ids[order[place]] == wanted
        found[line] = np.where(there & (wanted >= 0), other.log_probs[line][order[place]], -np.inf)
    own = np.where(found > -np.inf, one.log_probs.astype(np.float64), -np.inf)
    return _kl(own, found)


def _kl(log_p: NDArray[np.float64], log_q: NDArray[np.float64]) -> NDArray[np.float64]:
    p, q = np.exp(log_p), np.exp(log_q)
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = np.where(p > 0, p * (log_p - log_q), 0.0).sum(1)
        rest_p, rest_q = np.maximum(1 - p.sum(1), 0.0), np.maximum(1 - q.sum(1), _LEAST)
        return inside + np.where(rest_p > 0, rest_p * np.log(rest_p / rest_q), 0.0)


_LEAST = 1e-9  # of a bucket: float32 log-probabilities know no smaller one
