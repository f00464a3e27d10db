"""The generalised Jensen-Shannon divergence against worked numbers and its limits."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.objectives import forward_kl, jsd, reverse_kl
from tests.objectives.worked import check_worked, logits


@pytest.mark.parametrize(
    ("beta", "value", "gradient"),
    [
        (0.1, 0.050995, [-0.041427, 0.024691, 0.016736]),
        (0.5, 0.132918, [-0.094872, 0.054721, 0.040151]),
        (0.9, 0.047864, [-0.032122, 0.017455, 0.014666]),
    ],
)
def test_matches_the_worked_numbers(beta, value, gradient):
    check_worked(jsd, value, gradient, beta=beta)


def test_tends_to_the_two_kls_at_its_ends():
    s, z = logits(3, 5, seed=0), logits(3, 5, seed=1)
    small = 1e-4
    torch.testing.assert_close(jsd(s, z, beta=small) / small, forward_kl(s, z), rtol=5e-3, atol=0)
    torch.testing.assert_close(jsd(s, z, beta=1 - small) / small, reverse_kl(s, z), rtol=5e-3, atol=0)


def test_distributions_without_overlap_give_the_entropy_of_the_mixture():
    s, z = torch.tensor([[200.0, 0.0]]), torch.tensor([[0.0, 200.0]])
    expected = -(0.3 * math.log(0.3) + 0.7 * math.log(0.7))
    torch.testing.assert_close(jsd(s, z, beta=0.3), torch.tensor([expected]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("beta", [0.0, 1.0, -0.1, math.nan])
def test_refuses_a_share_at_or_beyond_the_ends(beta):
    with pytest.raises(ObjectiveError, match=r"beta must lie in \(0, 1\)"):
        jsd(torch.zeros(1, 2), torch.zeros(1, 2), beta=beta)
