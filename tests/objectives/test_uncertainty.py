"""Uncertainties by hand, and that they are constants."""

import math

import pytest
import torch

from limbeck.objectives.uncertainty import least_confidence, margin, normalised_entropy
from tests.objectives.worked import Q, logits


def test_values_worked_out_by_hand():
    # q = (.2, .5, .3)
    entropy = -(0.2 * math.log(0.2) + 0.5 * math.log(0.5) + 0.3 * math.log(0.3)) / math.log(3)
    torch.testing.assert_close(normalised_entropy(Q.log()), torch.tensor([entropy]))
    torch.testing.assert_close(margin(Q.log()), torch.tensor([0.8]))
    torch.testing.assert_close(least_confidence(Q.log()), torch.tensor([0.5]))


def test_a_sure_and_an_undecided_student():
    found = normalised_entropy(torch.tensor([[10.0, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([0.00072, 1.0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("uncertainty", [normalised_entropy, margin, least_confidence])
def test_is_a_constant_between_0_and_1_even_at_extreme_scores(uncertainty):
    s = torch.cat([1e4 * logits(3, 7, seed=0), logits(3, 7, seed=1), torch.zeros(1, 7)]).requires_grad_()
    found = uncertainty(s)
    assert found.shape == (7,) and not found.requires_grad
    assert ((found >= 0) & (found <= 1)).all()
    assert found.argmax() == 6  # equal scores
