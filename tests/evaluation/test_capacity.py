"""The capacity law against numbers worked out by hand."""

import pytest

from limbeck.core.errors import ModelError
from limbeck.evaluation.capacity import best_teacher_size, suggest_teacher

MILLION = 1_000_000


def test_the_law_is_the_papers_line():
    # 2.498 * 1000 - 11.498 = 2486.502
    assert best_teacher_size(1000 * MILLION) == pytest.approx(2486.502 * MILLION)


def test_below_its_range_the_teacher_stays_two_and_a_half_times_the_student():
    # 2.498 * 4 - 11.498 is negative: no teacher has that many parameters.
    assert best_teacher_size(4 * MILLION) == pytest.approx(9.992 * MILLION)


def test_the_nearest_teacher_is_nearest_by_ratio():
    # Wanted: 2.498 * 100 - 11.498 = 238.3 million. 130 is off by a factor of 1.83 and 420 by one of 1.76,
    # though 130 is nearer by difference.
    assert (
        suggest_teacher(100 * MILLION, {"s": 130 * MILLION, "m": 420 * MILLION, "xl": 1500 * MILLION}) == "m"
    )


def test_a_teacher_smaller_than_the_student_is_never_suggested():
    assert suggest_teacher(100 * MILLION, {"small": 99 * MILLION, "large": 9000 * MILLION}) == "large"


def test_no_larger_teacher_is_an_error_that_says_what_to_look_for():
    with pytest.raises(
        ModelError, match=r"larger than the student's 100,000,000 .* got a \(50,000,000\)\. Take"
    ):
        suggest_teacher(100 * MILLION, {"a": 50 * MILLION})
    with pytest.raises(ModelError, match="must be at least 1, got 0"):
        suggest_teacher(0, {"a": 1})
