"""Selectors of embeddings: worked out by hand, and against chance."""

from itertools import pairwise

import numpy as np
import pytest

from limbeck.core.errors import ConfigError
from limbeck.selectors import facility_location, herding, k_center, semantic_dedup

LINE = np.array([[0.0], [1], [10], [11]])


def rows(picks):
    return [pick.row for pick in picks]


def test_k_center_takes_the_farthest_row_and_covers_a_line_with_radius_1():
    picks = list(k_center(LINE, first=0))
    assert rows(picks) == [0, 3, 1, 2]  # of rows 1 and 2, both at distance 1, the earlier one
    assert [pick.score for pick in picks] == [0, 11, 1, 1]


def test_k_center_begins_in_the_middle():
    assert rows(k_center(np.array([[0.0], [4], [5], [9]])))[0] == 1  # the mean is 4.5


def test_k_center_is_within_twice_the_best_radius():
    # Ten tight balls of radius 1e-3: ten rows reach that radius, so greedy reaches at most twice it.
    draw = np.random.default_rng(0)
    balls = np.repeat(np.eye(10), 20, 0) + draw.uniform(-1, 1, (200, 10)) * 1e-3 / np.sqrt(10)
    chosen = rows(k_center(balls))[:10]
    radius = np.linalg.norm(balls[:, None] - balls[chosen], axis=-1).min(1).max()
    assert radius <= 2 * 2e-3 and len({row // 20 for row in chosen}) == 10


def test_k_center_takes_copies_of_a_row_last():
    assert sorted(rows(k_center(np.array([[1.0], [1], [5]]), first=0))[:2]) == [0, 2]


def test_k_center_leaves_rows_without_neighbours_out_when_asked():
    lonely = np.concatenate([np.random.default_rng(0).normal(0, 0.1, (19, 2)), [[50.0, 50]]])
    assert rows(k_center(lonely))[1] == 19
    kept = rows(k_center(lonely, outliers=0.05))
    assert 19 not in kept and len(kept) == 19
    with pytest.raises(ConfigError, match="first must be a row among 20 that is no outlier, got 19"):
        rows(k_center(lonely, outliers=0.05, first=19))


def test_herding_of_all_rows_has_their_mean_and_of_some_is_nearer_than_chance_for_every_seed():
    for seed in range(20):
        draw = np.random.default_rng(seed)
        vectors = draw.standard_normal((100, 8))
        order = rows(herding(vectors))
        assert sorted(order) == list(range(100))

        def error(chosen, vectors=vectors):
            return np.linalg.norm(vectors.mean(0) - vectors[chosen].mean(0))

        assert error(order) < 1e-6 and error(order[:10]) < error(draw.permutation(100)[:10])


def test_herding_never_takes_a_row_twice_though_it_pulls_most():
    assert rows(herding(np.array([[5.0, 5], [0, 0.1], [0.1, 0]])))[0] == 0


def test_facility_location_takes_the_middle_of_each_cluster():
    # Angles of two groups of three; the middle one of each is nearest to its mates.
    angles = np.radians([0, 10, 20, 90, 100, 110])
    chosen = rows(facility_location(np.stack([np.cos(angles), np.sin(angles)], 1)))
    greedy, best = [], np.zeros(6)
    alike = (1 + np.cos(angles[:, None] - angles)) / 2
    for _ in range(6):  # greedy as it is written, nothing lazy
        gains = [-1.0 if j in greedy else np.maximum(alike[j] - best, 0).sum() for j in range(6)]
        greedy.append(int(np.argmax(gains)))
        best = np.maximum(best, alike[greedy[-1]])
    assert chosen == greedy


def test_facility_location_gains_add_up_to_the_sum():
    vectors = np.random.default_rng(3).standard_normal((40, 5))
    picks = list(facility_location(vectors))
    assert sum(pick.score for pick in picks) == pytest.approx(40, abs=1e-3)  # every row is its own nearest
    assert all(a.score >= b.score - 1e-4 for a, b in pairwise(picks))


def test_repeated_rows_are_left_out_and_the_first_stays():
    vectors = np.array([[1.0, 0], [0, 1], [3, 0.1], [0.1, 1], [-1, 0]])
    assert rows(semantic_dedup(vectors, threshold=0.9)) == [0, 1, 4]
    assert rows(semantic_dedup(vectors, threshold=0.99999)) == [0, 1, 2, 3, 4]


def test_vectors_that_are_none_are_refused():
    with pytest.raises(ConfigError, match=r"vectors must be \[N, D\]"):
        rows(herding(np.zeros(3)))
    with pytest.raises(ConfigError, match="vectors must be finite"):
        rows(k_center(np.array([[np.nan]])))
    with pytest.raises(ConfigError, match=r"outliers must lie in \[0, 1\)"):
        rows(k_center(LINE, outliers=1.0))
    with pytest.raises(ConfigError, match=r"threshold must lie in \(-1, 1\)"):
        rows(semantic_dedup(LINE, threshold=1.0))
