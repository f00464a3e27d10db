"""Curves at their ends and between, and how a recipe names them."""

import pytest

from limbeck.schedules.scheduled import scheduled


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.25, 1.25), (0.5, 1.5), (1.0, 1.5)])
def test_distillm2s_weight_of_the_students_side(share, expected):
    # Ko et al. 2025: b = 1 + 0.5 * min(1, 2 * step / max_steps), beside 2 - b for the teacher's side.
    student, teacher = (scheduled({"schedule": "plateau", "start": 1.0, "stop": stop}) for stop in (1.5, 0.5))
    assert student.at(round(share * 200), 200) == pytest.approx(expected)
    assert teacher.at(round(share * 200), 200) == pytest.approx(2 - expected)


def test_a_straight_line_and_half_a_cosine_reach_both_ends():
    for name in ("linear", "cosine"):
        curve = scheduled({"schedule": name, "start": 0.0, "stop": -1.0})
        assert [curve.at(step, 5) for step in (0, 2, 4)] == pytest.approx([0.0, -0.5, -1.0])
    cosine = scheduled({"schedule": "cosine", "start": 0.0, "stop": 1.0})
    assert cosine.at(1, 5) == pytest.approx(0.1464466)  # (1 - cos(pi / 4)) / 2


def test_one_step_is_its_own_start():
    assert scheduled({"schedule": "linear", "start": 0.3, "stop": 1.0}).at(0, 1) == 0.3


def test_plain_values_stay_what_they_are():
    assert scheduled(0.5) == 0.5
    assert scheduled("paper") == "paper"
