"""Both skew KLs against worked numbers, their limits and their bound."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.objectives import forward_kl, reverse_kl, skew_forward_kl, skew_reverse_kl
from tests.objectives.worked import check_worked, logits, value_and_gradient


def test_forward_matches_the_worked_numbers():
    check_worked(skew_forward_kl, 0.446889, [-0.345616, 0.204470, 0.141147], alpha=0.1)


def test_reverse_matches_the_worked_numbers():
    check_worked(skew_reverse_kl, 0.427421, [-0.289399, 0.160783, 0.128616], alpha=0.1)


def test_the_released_reverse_holds_the_student_in_the_mixture_constant():
    check_worked(skew_reverse_kl, 0.427421, [-0.321215, 0.174554, 0.146661], alpha=0.1, compat="released")


@pytest.mark.parametrize(("skew", "whole"), [(skew_forward_kl, forward_kl), (skew_reverse_kl, reverse_kl)])
def test_is_the_plain_kl_at_alpha_0_and_nothing_at_alpha_1(skew, whole):
    s, z = logits(3, 6, seed=0), logits(3, 6, seed=1)
    for found, expected in zip(
        value_and_gradient(skew, s, z, alpha=0.0), value_and_gradient(whole, s, z), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    value, gradient = value_and_gradient(skew, s, z, alpha=1.0)
    torch.testing.assert_close(value, torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(gradient, torch.zeros(3, 6), atol=1e-6, rtol=0)


@pytest.mark.parametrize("skew", [skew_forward_kl, skew_reverse_kl])
def test_never_exceeds_minus_log_alpha(skew):
    s, z = torch.tensor([[500.0, 0.0]]), torch.tensor([[0.0, 500.0]])
    torch.testing.assert_close(skew(s, z, alpha=0.1), torch.tensor([-math.log(0.1)]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan])
@pytest.mark.parametrize("skew", [skew_forward_kl, skew_reverse_kl])
def test_refuses_a_share_outside_the_unit_interval(skew, alpha):
    with pytest.raises(ObjectiveError, match=r"alpha must lie in \[0, 1\]"):
        skew(torch.zeros(1, 2), torch.zeros(1, 2), alpha=alpha)


def test_refuses_an_unknown_compat():
    with pytest.raises(ObjectiveError, match="compat must be 'paper' or 'released', got 'distillm'"):
        skew_reverse_kl(torch.zeros(1, 2), torch.zeros(1, 2), alpha=0.1, compat="distillm")
