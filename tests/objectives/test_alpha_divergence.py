"""The alpha divergence against worked numbers and its limits."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.objectives import alpha_divergence, forward_kl, reverse_kl
from tests.objectives.worked import P, Q, check_worked


def test_matches_the_worked_numbers():
    check_worked(alpha_divergence, 0.545606, [-0.402892, 0.231143, 0.171749], alpha=0.5)


def test_at_one_half_it_is_four_times_the_squared_hellinger_distance():
    hellinger = 1 - (P * Q).sqrt().sum(-1)
    torch.testing.assert_close(alpha_divergence(Q.log(), P.log(), alpha=0.5), 4 * hellinger)


@pytest.mark.parametrize(("alpha", "limit"), [(0.999, forward_kl), (0.001, reverse_kl)])
def test_tends_to_the_two_kls_at_its_ends(alpha, limit):
    torch.testing.assert_close(
        alpha_divergence(Q.log(), P.log(), alpha=alpha), limit(Q.log(), P.log()), rtol=2e-3, atol=0
    )


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0, math.nan])
def test_refuses_an_exponent_at_or_beyond_the_ends(alpha):
    with pytest.raises(ObjectiveError, match=r"alpha must lie in \(0, 1\)"):
        alpha_divergence(Q.log(), P.log(), alpha=alpha)
