"""Selectors of numbers, groups and texts: worked out by hand."""

from collections import Counter

import numpy as np
import pytest

from limbeck.core.errors import ConfigError
from limbeck.selectors import difficulty, farthest, ifd, length_order, quota, top_k


def rows(picks):
    return [pick.row for pick in picks]


def test_the_highest_or_lowest_come_first_and_equal_ones_in_their_order():
    scores = np.array([0.5, 2.0, -1.0, 2.0])
    assert rows(top_k(scores)) == [1, 3, 0, 2] and rows(top_k(scores, highest=False)) == [2, 0, 1, 3]


def test_numbers_that_are_none_are_refused_with_their_row():
    with pytest.raises(ConfigError, match="scores must be finite numbers, got nan in row 1"):
        rows(top_k(np.array([1.0, np.nan])))


def test_however_many_rows_are_taken_every_group_has_its_share():
    groups = [*"a" * 60 + "b" * 30 + "c" * 10]
    chosen = [groups[row] for row in rows(quota(groups, shares={"a": 1, "b": 1, "c": 2}))]
    for taken in range(1, 21):
        counts = Counter(chosen[:taken])
        assert all(
            abs(counts[name] - taken * share / 4) <= 1 for name, share in (("a", 1), ("b", 1), ("c", 2))
        )
    assert Counter(chosen[20:]) == {"a": 55, "b": 25}  # c is used up; the others go on


def test_shares_must_name_every_group():
    with pytest.raises(ConfigError, match="shares must give each group a number"):
        rows(quota(["a", "b"], shares={"a": 1}))
    assert rows(quota(["a", "b"], shares={"a": 1, "b": 0})) == [0]


def test_the_most_different_strings_by_hand():
    texts = ["aaaa", "aaab", "bbbb", "abab"]
    assert rows(farthest(texts)) == [0, 2, 3, 1]
    assert [pick.score for pick in farthest(texts)] == [0, 1, 0.5, 0.25]


def test_the_sum_of_distances_may_choose_otherwise_than_the_nearest():
    # From "aaaa" and "bbbb": "aaac" is at 1/4 and 1, sum 5/4; "aabb" at 1/2 and 1/2, sum 1.
    texts = ["aaaa", "bbbb", "aaac", "aabb"]
    assert rows(farthest(texts))[2] == 3 and rows(farthest(texts, aim="sum"))[2] == 2


def test_a_long_text_does_not_win_by_its_length():
    # Distance 3 of 10 against 2 of 2.
    assert set(rows(farthest(["ab", "cd", "a" * 10, "a" * 7 + "bbb"]))[:2]) != {2, 3}


def test_words_count_as_one_step_each():
    texts = ["one two", "one three", "four five"]
    assert [pick.score for pick in farthest(texts, unit="words")] == [0, 1, 0.5]


def test_equal_texts_are_at_distance_0_and_come_in_their_order():
    assert [tuple(pick) for pick in farthest(["x", "x", "x"])] == [(0, 0), (1, 0), (2, 0)]


def test_a_band_of_pass_rates_begins_with_the_hardest_question():
    rates = np.array([1.0, 0.0, 0.5, 0.25])
    assert rows(difficulty(rates, low=0.1, high=0.9)) == [3, 2]
    assert rows(difficulty(rates, high=0.9, highest=True)) == [2, 3, 1]
    with pytest.raises(ConfigError, match="got neither low nor high"):
        rows(difficulty(rates))
    with pytest.raises(ConfigError, match="low must be at most high"):
        rows(difficulty(rates, low=1.0, high=0.0))


def test_pass_rates_of_sampled_answers_keep_the_questions_that_the_student_cannot_answer():
    # 64 samples of a student with known rates; the bound lies between them.
    truth = np.repeat([0.1, 0.9], 500)
    rates = np.random.default_rng(0).binomial(64, truth) / 64
    kept = rows(difficulty(rates, high=0.5))
    assert np.mean(np.isin(np.arange(1000), kept) == (truth < 0.5)) > 0.98


def test_a_prompt_that_says_nothing_has_ratio_1_and_one_that_misleads_is_left_out():
    picks = list(ifd(np.array([2.0, 1.0, 3.0]), np.array([2.0, 2.0, 2.0])))
    assert [tuple(pick) for pick in picks] == [(0, 1.0), (1, 0.5)]
    with pytest.raises(ConfigError, match="losses must be above 0"):
        rows(ifd(np.array([0.0]), np.array([1.0])))


def test_short_rows_come_first():
    assert rows(length_order(np.array([3, 1, 3]))) == [1, 0, 2]
    assert rows(length_order(np.array([3, 1, 3]), longest=True)) == [0, 2, 1]
