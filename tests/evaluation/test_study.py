"""The statistics of a study against six items worked out by hand."""

import math

import numpy as np
import pytest

from limbeck.core.errors import ConfigError
from limbeck.evaluation.answers import final_answer
from limbeck.evaluation.study import (
    agreement,
    one_way_anova,
    paired_t_test,
    rank_correlation,
    rationale_bleu,
)

GOLD = ["4", "10", "7", "3", "12", "5"]
TEACHER = [
    "2 + 2 is 4. The answer is 4.",
    "so #### 10",
    "we get \\boxed{7}",
    "It is 9.",
    "Answer: 11",
    "that gives 5",
]
# Right on items 1, 2, 4; as the teacher on items 1, 2, 5 (where the teacher is wrong).
STUDENT = ["4", "it is 10", "8", "The answer is 3", "#### 11", "6"]


def accuracy(texts):
    return np.mean([final_answer(text) == gold for text, gold in zip(texts, GOLD, strict=True)])


def test_agreement_and_accuracy_of_the_six_items():
    assert accuracy(STUDENT) == pytest.approx(3 / 6)
    assert accuracy(TEACHER) == pytest.approx(4 / 6)
    assert agreement(STUDENT, TEACHER) == pytest.approx(3 / 6)
    assert agreement(TEACHER, TEACHER) == 1


def test_items_without_a_teachers_answer_do_not_count():
    assert agreement(["4", "none at all"], ["4", "I do not know"]) == 1
    assert agreement(["x"], ["I do not know"]) is None


def test_a_student_that_is_as_often_right_elsewhere_agrees_less():
    # Students that are right as often as before, but on items drawn anew: agreement with a teacher that
    # is right on 70 % falls from 1 to chance, 0.7 * 0.7 (wrong answers differ), accuracy stays.
    random = np.random.default_rng(0)
    right = random.random(2000) < 0.7
    teacher = [f"{n if ok else n + 10_000}" for n, ok in enumerate(right)]
    shuffled = random.permutation(right)
    student = [f"{n if ok else n + 20_000}" for n, ok in enumerate(shuffled)]
    assert sum(final_answer(text) == str(n) for n, text in enumerate(student)) == right.sum()
    assert agreement(teacher, teacher) == 1
    assert agreement(student, teacher) == pytest.approx(0.49, abs=0.03)


def test_bleu_of_equal_texts_is_100_and_falls_with_other_words():
    texts = ["the cat sat on the mat today", "two and two make four in all"]
    assert rationale_bleu(texts, texts) == pytest.approx(100)
    # One pair of six words: 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 fours; equal lengths.
    expected = 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert rationale_bleu(["the cat sat on a mat"], ["the cat sat on the mat"]) == pytest.approx(expected)


def test_rank_correlation_of_sizes_and_gains():
    # Ranks 1..6 against 6, 4, 5, 3, 2, 1: sum of squares 25 + 4 + 4 + 1 + 9 + 25 = 68, 1 - 6 * 68 / 210.
    found = rank_correlation([0.5, 1, 1.5, 3, 7, 14], [9.0, 4.0, 5.0, 3.5, 2.0, 1.3])
    assert found["statistic"] == pytest.approx(1 - 6 * 68 / 210)
    assert found["n"] == 6 and found["p_value"] < 0.05
    assert rank_correlation([1, 1, 1], [1, 2, 3])["statistic"] is None


def test_paired_t_of_the_six_items():
    student, baseline = [0.5, 0.6, 0.4, 0.7, 0.5, 0.6], [0.4, 0.4, 0.3, 0.4, 0.4, 0.2]
    # Differences .1 .2 .1 .3 .1 .4: mean .2, squares about it .01 0 .01 .01 .01 .04, sd sqrt(.08 / 5).
    t = 0.2 / (math.sqrt(0.08 / 5) / math.sqrt(6))
    found = paired_t_test(student, baseline)
    assert found["difference"] == pytest.approx(0.2)
    assert found["statistic"] == pytest.approx(t)
    half = 2.570582 * math.sqrt(0.08 / 5) / math.sqrt(6)  # Student's table: t(5 degrees, 97.5 %)
    low, high = found["interval"]
    # The long tail lies above; there the interval reaches further than t.
    assert low <= 0.2 - half + 1e-6 and high > 0.2 + 1.1 * half
    assert paired_t_test([1, 2], [1, 2])["p_value"] is None


def test_anova_of_three_methods():
    # Means 1, 2, 6 about 3: between 2 * (4 + 1 + 9) / 2 = 14; within 6 * 0.25 / 3 = 0.5; F = 28.
    found = one_way_anova({"a": [0.5, 1.5], "b": [1.5, 2.5], "c": [5.5, 6.5]})
    assert found["statistic"] == pytest.approx(28)
    assert found["means"] == {"a": 1, "b": 2, "c": 6} and found["n"] == 6
    assert found["p_value"] < 0.05
    assert one_way_anova({"a": [1.0], "b": [2.0]})["statistic"] is None


def test_uneven_sides_are_refused():
    with pytest.raises(ConfigError, match="as many items, got 1 and 2"):
        agreement(["a"], ["a", "b"])
