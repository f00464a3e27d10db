"""Means over rows with their 95 % intervals, by resampling whole rows.

Tokens of one row are not independent, so rows are drawn with replacement, never tokens. The
draws are kept as counts (a multinomial is the same as drawing row by row), so the resampled
sums of any number of quantities are one matrix product, and all subjects share the same draws.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from limbeck.core.seeds import generator

LEVEL = 0.95
"""Of every interval."""

_MOST_DRAWS = 20_000_000  # 160 MB; with more than 20,000 rows, fewer than 1,000 resamples are drawn
_FEWEST_RESAMPLES = 200

Array = NDArray[np.float64]
Estimate = dict[str, Any]
"""`value`, `n` (units: positions, examples, prompts, pairs), `rows` they come from, `interval` or None."""


class Rows:
    """The rows of an evaluation and their resamples.

    Args:
        row: [N] for each unit, the index of the row it belongs to.
        resamples: number of resamples.
        seed: of the draws.
    """

    def __init__(self, row: ArrayLike, *, resamples: int, seed: int) -> None:
        self.row = np.asarray(row, dtype=np.int64)
        self.count = int(self.row.max()) + 1 if self.row.size else 0
        self.resamples, self.seed = resamples, seed

    @property
    def draws(self) -> Array:
        """[resamples, rows] how often each row is drawn."""
        return _draws(self.count, self.resamples, self.seed)

    def sums(self, values: ArrayLike, where: ArrayLike | None = None) -> Array:
        """[rows] sum of `values` [N] within each row, over the units in `where`."""
        weights = np.asarray(values, dtype=np.float64)
        row = self.row
        if where is not None:
            kept = np.asarray(where, dtype=bool)
            row, weights = row[kept], weights[kept]
        return np.bincount(row, weights=weights, minlength=self.count).astype(np.float64)

    def mean(self, values: ArrayLike, where: ArrayLike | None = None) -> Estimate:
        """Mean of `values` [N] over the units in `where` (all of them by default)."""
        totals = self.sums(values, where)
        counts = self.sums(np.ones(len(self.row)), where)
        return self.ratio(totals, counts)

    def ratio(self, totals: Array, counts: Array, *, n: int | None = None, scale: float = 1.0) -> Estimate:
        """scale * sum(totals) / sum(counts) of sums within rows [rows]; n: units, sum(counts) by default."""
        rows, units = int((counts > 0).sum()), round(float(counts.sum())) if n is None else n
        if not counts.sum() > 0:
            return {"value": None, "n": 0, "rows": 0, "interval": None}
        value = scale * float(totals.sum() / counts.sum())
        drawn = self.drawn_ratio(totals, counts) * scale
        return {"value": value, "n": units, "rows": rows, "interval": interval(drawn) if rows > 1 else None}

    def share(self, passed: ArrayLike) -> Estimate:
        """Share of units that passed; Wilson's interval when every row has one unit.

        Resampling cannot leave 0 or 1 when none or all passed, Wilson's interval can.
        """
        values = np.asarray(passed, dtype=np.float64)
        estimate = self.mean(values)
        if len(values) == self.count:
            bounds = binomtest(int(values.sum()), len(values)).proportion_ci(LEVEL, method="wilson")
            estimate["interval"] = [float(bounds.low), float(bounds.high)]
        return estimate

    def drawn_ratio(self, totals: Array, counts: Array) -> Array:
        """[resamples] the ratio of the sums in every resample; NaN where the denominator is 0."""
        drawn = self.draws @ np.stack([totals, counts], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return drawn[:, 0] / drawn[:, 1]

    def difference(
        self, first: tuple[Array, Array], second: tuple[Array, Array], *, scale: float = 1.0
    ) -> Estimate:
        """The ratio of `first` (totals, counts) less that of `second`, on the same rows in every resample."""
        values = [scale * totals.sum() / counts.sum() for totals, counts in (first, second)]
        drawn = scale * (self.drawn_ratio(*first) - self.drawn_ratio(*second))
        rows, units = int((first[1] > 0).sum()), round(float(first[1].sum()))
        # Without any scatter (nobody passed), resampling has nothing to say.
        bounds = interval(drawn) if rows > 1 and np.ptp(drawn[np.isfinite(drawn)]) > 0 else None
        return {"value": float(values[0] - values[1]), "n": units, "rows": rows, "interval": bounds}


def interval(drawn: ArrayLike) -> list[float] | None:
    """The middle 95 % of resampled values; NaN (a resample without any unit) left out."""
    values = np.asarray(drawn, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]


def verdict(difference: Estimate, *, higher_is_better: bool) -> str:
    """`better`, `worse`, or `undecided` when the interval of the difference holds 0."""
    if difference["interval"] is None:
        return "undecided"
    low, high = difference["interval"]
    if low <= 0 <= high:
        return "undecided"
    return "better" if (low > 0) == higher_is_better else "worse"


def bucket(values: ArrayLike, edges: Sequence[float]) -> NDArray[np.int64]:
    """[N] index of the bucket of each value: bucket i holds edges[i - 1] <= value < edges[i]."""
    return np.digitize(np.asarray(values), np.asarray(edges)).astype(np.int64)


@lru_cache(maxsize=2)
def _draws(rows: int, resamples: int, seed: int) -> Array:
    resamples = max(min(resamples, _MOST_DRAWS // max(rows, 1)), _FEWEST_RESAMPLES)
    random = generator(seed, "bootstrap", rows)
    return random.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(np.float64)
