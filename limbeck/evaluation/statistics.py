"""Means over rows with their 95 % intervals, and the verdicts that follow from them.

Tokens of one row are not independent, so rows are what is drawn, never tokens. The draws are kept as counts
(a multinomial is the same as drawing row by row), so the resampled sums of any number of quantities are one
matrix product, and all subjects share the same draws.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from limbeck.core.seeds import generator
from limbeck.evaluation.intervals import fisher, same_in_every_row, share_interval, studentised

FEWEST_ROWS = 10
"""Below so many rows there is no verdict: an interval of fewer rows is a guess at its own width."""

_SAME = 1e-9  # of the largest: what rounding leaves of no difference
_MOST_DRAWS = 20_000_000  # 160 MB; with more than 20,000 rows, fewer than 1,000 resamples are drawn
_FEWEST_RESAMPLES = 200
_LARGEST = 700.0  # nats whose exponential is a number
_FEWEST_PAIRS = 3  # of a correlation; one more for its interval

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
        """Mean of `values` [N] over the units in `where` (all by default); a share if all are 0 or 1."""
        numbers = np.asarray(values, dtype=np.float64)
        totals, counts = self.sums(numbers, where), self.sums(np.ones(len(self.row)), where)
        estimate = self.ratio(totals, counts)
        kept = numbers if where is None else numbers[np.asarray(where, dtype=bool)]
        if estimate["rows"] > 1 and np.isin(kept, (0.0, 1.0)).all():
            estimate["interval"] = self._share_bounds(totals, counts, estimate["interval"])
        return estimate

    def ratio(self, totals: Array, counts: Array, *, n: int | None = None, scale: float = 1.0) -> Estimate:
        """scale * sum(totals) / sum(counts) of sums within rows [rows]; n: units, sum(counts) by default."""
        rows, units = int((counts > 0).sum()), round(float(counts.sum())) if n is None else n
        if not counts.sum() > 0:
            return {"value": None, "n": 0, "rows": 0, "interval": None}
        value = scale * float(totals.sum() / counts.sum())
        bounds = studentised(
            np.stack([totals, counts], axis=1),
            counts,
            lambda sums: scale * sums[..., 0] / sums[..., 1],
            lambda sums: scale * _ratio_slopes(sums),
            self._studentised_draws,
            informative=rows,
        )
        return {"value": value, "n": units, "rows": rows, "interval": bounds}

    def difference(
        self, first: tuple[Array, Array], second: tuple[Array, Array], *, scale: float = 1.0
    ) -> Estimate:
        """The ratio of `first` (totals, counts) less that of `second`, on the same rows in every resample."""
        counts = first[1]
        rows, units = int((counts > 0).sum()), round(float(counts.sum()))
        parts = np.stack([*first, *second], axis=1)

        def statistic(sums: Array) -> Array:
            return scale * (sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3])

        def gradient(sums: Array) -> Array:
            sides = [_ratio_slopes(sums[..., :2]), -_ratio_slopes(sums[..., 2:])]
            return scale * np.concatenate(sides, axis=-1)

        value = float(statistic(parts.sum(0)))
        change = _change_of_rows(first, second)
        bounds = studentised(
            parts,
            counts,
            statistic,
            gradient,
            self._studentised_draws,
            informative=int((np.abs(change) > _SAME * np.abs(change).max(initial=0)).sum()),
        )
        if bounds is None and rows >= FEWEST_ROWS and np.ptp(change) <= _SAME * np.abs(change).max():
            bounds = same_in_every_row(value, rows) if value else None
        return {"value": value, "n": units, "rows": rows, "interval": bounds}

    def _share_bounds(self, totals: Array, counts: Array, bounds: list[float] | None) -> list[float]:
        """Wilson's of units that stand alone; else the hull with `bounds`, which know of skewed rows."""
        share, rows = float(totals.sum() / counts.sum()), int((counts > 0).sum())
        residuals = (totals - share * counts) / counts.sum()
        error = float(np.sqrt((residuals**2).sum()))
        units = round(float(counts.sum()))
        low, high = share_interval(share, error, rows=rows, units=units)
        if bounds is None or units == rows:
            return [low, high]
        return [min(low, max(bounds[0], 0.0)), max(high, min(bounds[1], 1.0))]

    @property
    def _studentised_draws(self) -> Array | None:
        """None with so many rows that few resamples of them fit into memory; t is enough for these."""
        return self.draws if self.count * self.resamples <= _MOST_DRAWS else None


def _ratio_slopes(sums: Array) -> Array:
    """Derivatives of sums[..., 0] / sums[..., 1] by both."""
    return np.stack([1 / sums[..., 1], -sums[..., 0] / sums[..., 1] ** 2], axis=-1)


def _change_of_rows(first: tuple[Array, Array], second: tuple[Array, Array]) -> Array:
    """[rows with units] the difference within each row."""
    there = (first[1] > 0) & (second[1] > 0)
    change: Array = first[0][there] / first[1][there] - second[0][there] / second[1][there]
    return change


def verdict(difference: Estimate, *, higher_is_better: bool) -> str:
    """`better`, `worse`, or `undecided`: the interval of the difference holds 0, or the rows are too few."""
    if difference["interval"] is None or difference["rows"] < FEWEST_ROWS:
        return "undecided"
    low, high = difference["interval"]
    if low <= 0 <= high:
        return "undecided"
    return "better" if (low > 0) == higher_is_better else "worse"


def compared(
    measure: str, student: str, baseline: str, difference: Estimate, *, higher_is_better: bool
) -> dict[str, Any]:
    """One entry of `comparisons` in the result of a metric: student minus baseline, with its verdict."""
    return {
        "measure": measure,
        "student": student,
        "baseline": baseline,
        "difference": difference,
        "verdict": verdict(difference, higher_is_better=higher_is_better),
    }


def correlation(first: ArrayLike, second: ArrayLike, *, by_rank: bool = False) -> Estimate:
    """Pearson's correlation of pairs, or Spearman's, with Fisher's interval.

    The standard error of z is the larger of the normal one and the jackknife's, which knows of outliers; for
    ranks it is Bonett and Wright's (2000).
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    n = len(x)
    nothing: Estimate = {"value": None, "n": n, "rows": n, "interval": None}
    if n < _FEWEST_PAIRS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return nothing
    if by_rank:
        x, y = rankdata(x), rankdata(y)
    value = float(np.corrcoef(x, y)[0, 1])
    if n <= _FEWEST_PAIRS or abs(value) > 1 - _SAME:
        return nothing | {"value": value}
    errors = [np.sqrt((1 + value**2 / 2 if by_rank else 1.0) / (n - 3))]
    if not by_rank:
        errors.append(_jackknife_error(x, y))
    return nothing | {"value": value, "interval": fisher(value, errors, n=n)}


def _jackknife_error(x: Array, y: Array) -> float:
    """Standard error of atanh(correlation) from pairs left out in turn."""
    n = len(x)
    parts = np.stack([x, y, x * x, y * y, x * y], axis=1) / (n - 1)
    mean_x, mean_y, xx, yy, xy = (parts.sum(0) - parts).T
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (xy - mean_x * mean_y) / np.sqrt((xx - mean_x**2) * (yy - mean_y**2))
    z = np.arctanh(np.clip(left[np.isfinite(left)], -1 + _SAME, 1 - _SAME))
    return float(np.sqrt((n - 1) / n * ((z - z.mean()) ** 2).sum()))


def exponential(nats: Estimate) -> Estimate:
    """The exponential of an estimate in nats; without an interval where that would be no number."""
    bounds = nats["interval"]
    if bounds and max(bounds) > _LARGEST:  # of two or three rows: it says nothing
        bounds = None
    return nats | {
        "value": math.exp(nats["value"]),
        "interval": bounds and [math.exp(bound) for bound in bounds],
    }


def bucket(values: ArrayLike, edges: Sequence[float]) -> NDArray[np.int64]:
    """[N] index of the bucket of each value: bucket i holds edges[i - 1] <= value < edges[i]."""
    return np.digitize(np.asarray(values), np.asarray(edges)).astype(np.int64)


@lru_cache(maxsize=2)
def _draws(rows: int, resamples: int, seed: int) -> Array:
    resamples = max(min(resamples, _MOST_DRAWS // max(rows, 1)), _FEWEST_RESAMPLES)
    random = generator(seed, "bootstrap", rows)
    return random.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(np.float64)
