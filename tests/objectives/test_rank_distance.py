"""Distances by rank from counts, against sorting both sides."""

import numpy as np
import pytest
import torch

from limbeck.objectives import uld
from limbeck.objectives.fused import linear_objective
from limbeck.objectives.rank_distance import rank_distance


def test_two_sides_worked_out_by_hand():
    # (0.5, 0.3, 0.2) against (0.6, 0.4): 0.1 + 0.1 + 0.2, below, below and above at ranks 0, 1, 2.
    q, p = np.array([0.2, 0.5, 0.3], np.float32), np.array([0.4, 0.6], np.float32)
    distance, signs = rank_distance(q, p)
    assert distance == pytest.approx(0.4, abs=1e-7)
    assert signs.tolist() == [1, -1, -1]


@pytest.mark.parametrize("spread", [0.02, 1.0, 5.0])
@pytest.mark.parametrize("widths", [(3_000, 3_000), (2_000, 3_001)])
def test_is_what_sorting_gives_however_often_the_sides_cross(spread, widths):
    random = torch.Generator().manual_seed(0)
    q, p = ((spread * torch.randn(width, generator=random)).softmax(-1).numpy() for width in widths)
    order, length = np.argsort(-q, kind="stable"), max(widths)
    sides = [np.pad(np.sort(side.astype(np.float64))[::-1], (0, length - len(side))) for side in (q, p)]
    apart = sides[0] - sides[1]
    expected = np.empty_like(q)
    expected[order] = np.sign(apart[: len(q)])
    distance, signs = rank_distance(q, p)
    assert distance == pytest.approx(np.abs(apart).sum(), abs=1e-12)
    assert (signs == expected).all()


def test_equal_sides_have_no_distance_and_no_sign():
    side = torch.arange(9.0).softmax(-1).numpy()
    distance, signs = rank_distance(side, side[::-1])
    assert distance == 0 and not signs.any()


def test_a_side_that_is_not_finite_has_no_finite_distance():
    q, nothing = np.full(3, 1 / 3, np.float32), np.full(3, np.nan, np.float32)
    assert np.isnan(rank_distance(q, nothing)[0]) and np.isnan(rank_distance(nothing, q)[0])


def test_a_large_vocabulary_gives_the_fused_head_the_value_and_gradient_of_the_plain_objective():
    random = torch.Generator().manual_seed(1)
    hidden = torch.randn(3, 8, generator=random).requires_grad_()
    head, teacher = (torch.randn(width, 8, generator=random) for width in (8_500, 9_000))
    weights, states = torch.tensor([0.5, 1.0, 2.0]), torch.randn(3, 8, generator=random)
    fused = linear_objective(uld, hidden, head, states, teacher, weights=weights, temperature=1.5)
    plain = (weights * uld(hidden @ head.T, states @ teacher.T, temperature=1.5)).sum()
    torch.testing.assert_close(fused, plain)
    found, expected = (torch.autograd.grad(one, hidden)[0] for one in (fused, plain))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
