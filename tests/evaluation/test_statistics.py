"""Means over rows, their intervals and verdicts: tables, pencil, and how often they miss."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from limbeck.evaluation.calibration import reliability
from limbeck.evaluation.statistics import Rows, bucket, correlation, exponential, verdict

RESAMPLES = 400


def rows(count):
    return Rows(range(count), resamples=RESAMPLES, seed=0)


def change(values):
    """The difference of two students that share a large scatter over rows and differ by `values`."""
    shared, ones = np.random.default_rng(7).normal(10, 1, len(values)), np.ones(len(values))
    return rows(len(values)).difference((shared + values, ones), (shared, ones))


def test_the_mean_runs_over_units_and_says_from_how_many_rows():
    estimate = Rows([0, 0, 0, 1], resamples=100, seed=0).mean([2.0, 2.0, 2.0, 0.0])
    assert (estimate["value"], estimate["n"], estimate["rows"]) == (1.5, 4, 2)


def test_without_resamples_the_interval_of_symmetric_rows_is_students():
    # 1..12: mean 6.5, variance 13, so 6.5 +- t(11 degrees, 97.5 %) * sqrt(13 / 12) with t = 2.200985.
    low, high = Rows(range(12), resamples=100, seed=0).mean(np.arange(1.0, 13.0))["interval"]
    half = 2.200985 * np.sqrt(13 / 12)
    assert [low, high] == pytest.approx([6.5 - half, 6.5 + half], rel=1e-6)


def test_the_interval_reaches_further_to_the_side_of_the_long_tail():
    values = np.random.default_rng(0).gamma(1, 1, 20)
    found = rows(20).mean(values)
    low, high = found["interval"]
    assert high - found["value"] > 1.3 * (found["value"] - low)


def test_rows_of_unequal_size_count_for_fewer():
    # One row holds nine tenths of the units: the ratio hangs on little more than one row.
    totals, counts = np.arange(1.0, 13.0), np.full(12, 10.0)
    even = rows(12).ratio(totals, counts)["interval"]
    counts[0], totals[0] = 990.0, 99.0
    uneven = rows(12).ratio(totals, counts)["interval"]
    assert uneven[1] - uneven[0] > even[1] - even[0]


def test_a_single_row_has_no_interval_and_no_unit_has_no_value():
    one = Rows([0, 0], resamples=100, seed=0)
    assert one.mean([1.0, 0.0])["interval"] is None
    assert one.mean([1.0, 0.0], [False, False]) == {"value": None, "n": 0, "rows": 0, "interval": None}


@pytest.mark.parametrize("passed", [0, 3, 10])
def test_a_share_of_single_units_has_wilsons_interval(passed):
    values = np.arange(10) < passed
    reference = binomtest(passed, 10).proportion_ci(0.95, method="wilson")
    assert rows(10).mean(values)["interval"] == pytest.approx([reference.low, reference.high], abs=1e-9)


def test_a_share_that_all_units_of_all_rows_pass_still_leaves_room_below_one():
    # Four units a row, but nobody knows whether they go together: rows count, not units. With t(9) = 2.262
    # in the place of 1.96, Wilson's lower bound of 10 of 10 is 1 / (1 + 2.262^2 / 10) = 0.6615.
    low, high = Rows(np.repeat(range(10), 4), resamples=RESAMPLES, seed=0).mean(np.ones(40))["interval"]
    assert high == 1 and low == pytest.approx(0.6615, abs=1e-3)


def test_a_difference_is_taken_on_the_same_rows():
    noise, ones = np.random.default_rng(0).normal(scale=100, size=50), np.ones(50)
    gain = np.where(np.arange(50) % 2, 1.0, 2.0)
    found = rows(50).difference((noise + gain, ones), (noise, ones))
    low, high = found["interval"]
    assert abs(found["value"] - 1.5) < 1e-9 and 1 <= low < 1.5 < high <= 2
    assert verdict(found, higher_is_better=True) == "better"
    assert verdict(found, higher_is_better=False) == "worse"


def test_a_difference_that_is_the_same_in_every_row_is_decided():
    # At most 1 - 0.025^(1/20) = 16.8 % of all rows can be of another kind: 1 - 2 * 0.168 = 0.663.
    found = change(np.ones(20))
    assert found["interval"] == pytest.approx([0.663, 1.0], abs=1e-3)
    assert verdict(found, higher_is_better=True) == "better"
    assert change(np.zeros(20))["interval"] is None


def test_a_handful_of_rows_decides_nothing():
    assert verdict(change(np.array([5.0, 5.1, 5.2] * 3)), higher_is_better=True) == "undecided"
    assert verdict(change(np.array([5.0, 5.1, 5.2] * 3 + [5.0])), higher_is_better=True) == "better"


def test_few_rows_that_differ_among_many_that_do_not_decide_nothing():
    # Five wins and no loss among fifty: the exact sign test says 2 * 2^-5 = 6.25 %; seven: 1.6 %.
    assert verdict(change((np.arange(50) < 5) * 1.0), higher_is_better=True) == "undecided"
    assert verdict(change((np.arange(50) < 7) * 1.0), higher_is_better=True) == "better"


def test_an_interval_that_holds_zero_decides_nothing():
    assert verdict({"interval": [-1.0, 2.0], "rows": 50}, higher_is_better=True) == "undecided"
    assert verdict({"interval": None, "rows": 50}, higher_is_better=True) == "undecided"


NULL = {
    "normal": lambda random, n: random.normal(size=n),
    "heavy": lambda random, n: random.standard_t(2, n),
    "skewed": lambda random, n: random.gamma(1, 1, n) - 1,
    "discrete": lambda random, n: random.choice([-1.0, 0.0, 1.0], n, p=[0.25, 0.5, 0.25]),
    "rare": lambda random, n: random.choice([-1.0, 0.0, 1.0], n, p=[0.05, 0.9, 0.05]),
}
DRAWN = 250
MOST = 0.05 + 2 * np.sqrt(0.05 * 0.95 / DRAWN)  # two Monte Carlo errors above 5 %: 7.8 %


@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize("kind", NULL)
def test_equal_students_are_seldom_told_apart(kind, n):
    random, wrong = np.random.default_rng(1), 0
    for seed in range(DRAWN):
        shared, sizes = random.normal(10, 1, n), np.ceil(100 * np.exp(random.normal(0, 0.5, n)))
        if kind in ("discrete", "rare"):
            sizes = np.ones(n)
        values = NULL[kind](random, n)
        found = Rows(range(n), resamples=RESAMPLES, seed=seed).difference(
            (sizes * (shared + values), sizes), (sizes * shared, sizes)
        )
        wrong += verdict(found, higher_is_better=True) != "undecided"
    assert wrong / DRAWN <= MOST


@pytest.mark.parametrize("kind", ["mean", "ratio", "share"])
def test_intervals_of_twenty_rows_hold_the_truth(kind):
    random, missed, n = np.random.default_rng(2), 0, 20
    for seed in range(DRAWN):
        some = Rows(range(n), resamples=RESAMPLES, seed=seed)
        if kind == "mean":
            found, truth = some.mean(random.gamma(1, 1, n)), 1.0
        elif kind == "ratio":
            sizes = np.ceil(100 * np.exp(random.normal(0, 1, n)))
            found, truth = some.ratio(sizes * random.gamma(4, 0.5, n), sizes), 2.0
        else:
            units = np.repeat(range(n), 20)
            rate = random.beta(2, 8, n)[units]
            found = Rows(units, resamples=RESAMPLES, seed=seed).mean(random.random(len(units)) < rate)
            truth = 0.2
        low, high = found["interval"]
        missed += not low <= truth <= high
    assert missed / DRAWN <= MOST


def test_the_calibration_error_of_a_calibrated_model_may_be_zero():
    # 20 rows of 30: noise alone shows an ECE of about 0.05, and resampled values lie above that.
    random, unsure = np.random.default_rng(0), 0
    for seed in range(20):
        confidence = random.uniform(0.3, 1, 600)
        right = random.random(600) < confidence
        some = Rows(np.repeat(range(20), 30), resamples=RESAMPLES, seed=seed)
        found = reliability(some, confidence, right, np.ones(600, dtype=bool))["ece"]
        unsure += found["interval"][0] == 0
        assert found["interval"][0] <= found["value"] <= found["interval"][1]
    assert unsure >= 17


def test_a_correlation_has_fishers_interval_and_an_outlier_widens_it():
    random = np.random.default_rng(0)
    x = random.normal(size=40)
    y = x + random.normal(size=40)
    found = correlation(x, y)
    r = float(np.corrcoef(x, y)[0, 1])
    # 1 / sqrt(37) by t(38 degrees) = 2.0244, unless the jackknife says more.
    half = 2.0244 / np.sqrt(37)
    low, high = np.tanh([np.arctanh(r) - half, np.arctanh(r) + half])
    assert found["value"] == pytest.approx(r)
    assert found["interval"][0] <= low + 1e-4 and found["interval"][1] >= high - 1e-4
    alone = correlation(np.append(x * 0.01, 10), np.append(random.normal(size=40) * 0.01, 10))
    assert alone["value"] > 0.99 and alone["interval"][0] < 0.5
    assert correlation([1, 1, 1], [1, 2, 3])["value"] is None


def test_a_value_on_an_edge_belongs_to_the_upper_bucket():
    assert bucket([0, 15, 16, 70], (16, 64)).tolist() == [0, 0, 1, 2]


def test_an_interval_whose_exponential_is_no_number_is_none():
    wide = {"value": 2.0, "interval": [-800.0, 804.0], "n": 2}
    assert exponential(wide) == {"value": pytest.approx(math.exp(2.0)), "interval": None, "n": 2}
