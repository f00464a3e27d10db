"""Means over rows and their intervals against scipy and pencil."""

import numpy as np
from scipy.stats import bootstrap

from limbeck.evaluation.statistics import Rows, bucket, interval, verdict


def test_the_mean_runs_over_units_and_says_from_how_many_rows():
    estimate = Rows([0, 0, 0, 1], resamples=100, seed=0).mean([1.0, 1.0, 1.0, 0.0])
    assert (estimate["value"], estimate["n"], estimate["rows"]) == (0.75, 4, 2)
    # With two rows, a resample holds the first twice (1), both (3/4), or the second twice (0).
    assert estimate["interval"] == [0.0, 1.0]


def test_the_interval_is_that_of_scipys_bootstrap_over_rows():
    random = np.random.default_rng(0)
    row = np.repeat(np.arange(60), random.integers(1, 30, 60))
    values = random.normal(size=60)[row] + random.normal(size=len(row))
    rows = Rows(row, resamples=4000, seed=0)
    reference = bootstrap(
        (rows.sums(values), rows.sums(np.ones(len(row)))),
        lambda totals, counts, axis=-1: totals.sum(axis) / counts.sum(axis),
        paired=True, vectorized=True, n_resamples=4000, method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose(rows.mean(values)["interval"], reference, atol=0.02)


def test_a_single_row_has_no_interval_and_no_unit_has_no_value():
    rows = Rows([0, 0], resamples=100, seed=0)
    assert rows.mean([1.0, 0.0])["interval"] is None
    assert rows.mean([1.0, 0.0], [False, False]) == {"value": None, "n": 0, "rows": 0, "interval": None}


def test_a_share_of_none_still_leaves_room_above_zero():
    # Wilson: (z^2 / n) / (1 + z^2 / n) with z = 1.96 and n = 10 is 0.2775.
    low, high = Rows(range(10), resamples=100, seed=0).share([0.0] * 10)["interval"]
    assert low == 0 and abs(high - 0.2775) < 1e-3


def test_a_difference_is_taken_on_the_same_rows():
    # Rows scatter widely, but the first is better by exactly 1 in each: no scatter is left, so no interval
    # can be had from resampling; by 1 or 2, it lies between.
    rows = Rows(range(50), resamples=500, seed=0)
    noise, ones = np.random.default_rng(0).normal(scale=100, size=50), np.ones(50)
    gain = np.where(np.arange(50) % 2, 1.0, 2.0)
    change = rows.difference((noise + gain, ones), (noise, ones))
    low, high = change["interval"]
    assert abs(change["value"] - 1.5) < 1e-9 and 1 <= low < 1.5 < high <= 2
    assert verdict(change, higher_is_better=True) == "better"
    assert verdict(change, higher_is_better=False) == "worse"


def test_an_interval_that_holds_zero_decides_nothing():
    assert verdict({"interval": [-1.0, 2.0]}, higher_is_better=True) == "undecided"
    assert verdict({"interval": None}, higher_is_better=True) == "undecided"


def test_resamples_without_units_are_left_out_of_the_interval():
    assert interval([np.nan, 1.0, 1.0]) == [1.0, 1.0]
    assert interval([np.nan]) is None


def test_a_value_on_an_edge_belongs_to_the_upper_bucket():
    assert bucket([0, 15, 16, 70], (16, 64)).tolist() == [0, 0, 1, 2]
