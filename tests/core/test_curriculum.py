"""Competence: its two curves, and orders that keep to them."""

from collections import Counter

import pytest

from limbeck.core.curriculum import competence_at, competence_order
from limbeck.core.errors import ConfigError


def test_both_curves_go_from_their_start_to_everything():
    for shape in ("linear", "sqrt"):
        assert competence_at(0, start=0.2, shape=shape) == pytest.approx(0.2)
        assert competence_at(1, start=0.2, shape=shape) == 1
    assert competence_at(0.5, start=0.2, shape="linear") == pytest.approx(0.6)
    assert competence_at(0.5, start=0.6, shape="sqrt") == pytest.approx((0.5 * 0.64 + 0.36) ** 0.5)
    with pytest.raises(ConfigError, match=r"start must lie in \(0, 1\], got 0"):
        competence_at(0, start=0, shape="sqrt")


@pytest.mark.parametrize("shape", ["linear", "sqrt"])
def test_an_order_never_leaves_what_is_in_reach_and_takes_each_entry_as_often_as_asked(shape):
    copies = [3] * 40
    order = list(competence_order(copies, start=0.25, shape=shape, seed=0))
    assert Counter(order) == dict.fromkeys(range(40), 3)
    for place, entry in enumerate(order):
        assert entry <= 40 * competence_at(place / 120, start=0.25, shape=shape)
    assert order[0] < 10 and order != sorted(order)
    assert order == list(competence_order(copies, start=0.25, shape=shape, seed=0))
    assert order != list(competence_order(copies, start=0.25, shape=shape, seed=1))


def test_entries_without_a_copy_leave_no_gap():
    assert Counter(competence_order([0, 0, 2, 1], start=0.1, shape="linear", seed=0)) == {2: 2, 3: 1}
