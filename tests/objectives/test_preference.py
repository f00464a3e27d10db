"""Losses on pairs: by hand, their limits, and REDI as two cross-entropies."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.core.pair_log_probs import pair_log_probs
from limbeck.objectives.preference import dpo, ipo, simpo

MEANS = torch.tensor([[-30 / 20, -45 / 25]])


def test_dpo_is_log_2_at_the_reference_and_falls_as_the_chosen_answer_gains():
    pairs = torch.tensor([[-3.0, -4.0], [-3.0, -4.0]])
    gained = pairs + torch.tensor([[0.0, 0.0], [1.0, -2.0]])
    expected = [math.log(2), math.log1p(math.exp(-0.5 * 3.0))]
    torch.testing.assert_close(dpo(gained, pairs, beta=0.5), torch.tensor(expected))


def test_dpo_of_a_lead_of_2_at_beta_a_tenth():
    found = dpo(torch.tensor([[-1.0, -4.0]]), torch.tensor([[-2.0, -3.0]]), beta=0.1)
    assert round(found.item(), 4) == 0.5981  # log(1 + exp(-0.2))


def test_ipo_is_least_at_a_lead_and_not_at_infinity():
    reference = torch.tensor([[-2.0, -3.0]] * 3)
    student = reference + torch.tensor([[5.0, 0.0], [0.0, 0.0], [50.0, 0.0]])  # 1 / (2 beta) is 5
    torch.testing.assert_close(ipo(student, reference, beta=0.1), torch.tensor([0.0, 25.0, 45.0**2]))


def test_simpo_matches_a_value_worked_out_by_hand():
    expected = math.log1p(math.exp(-(2 * 0.3 - 1)))
    torch.testing.assert_close(simpo(MEANS, beta=2.0, gamma=1.0), torch.tensor([expected]))


def test_simpo_tends_to_the_difference_of_the_means_as_beta_vanishes():
    beta = 1e-2
    limit = 2 * (simpo(MEANS.double(), beta=beta).double() - math.log(2)) / beta
    torch.testing.assert_close(limit, torch.tensor([-0.3], dtype=torch.float64), atol=1e-3, rtol=0)


def test_nothing_flows_to_the_reference():
    student, reference = MEANS.clone().requires_grad_(), MEANS.clone().requires_grad_()
    dpo(student, reference, beta=0.1).sum().backward()
    assert reference.grad is None and student.grad is not None


def test_whole_answers_are_summed_or_averaged_over_their_own_tokens():
    log_probs = torch.tensor([[-1.0, -2.0, -9.0], [-3.0, math.nan, math.nan]])
    loss_mask = torch.tensor([[True, True, False], [True, False, False]])
    torch.testing.assert_close(pair_log_probs(log_probs, loss_mask, mean=False), torch.tensor([[-3.0, -3.0]]))
    torch.testing.assert_close(pair_log_probs(log_probs, loss_mask, mean=True), torch.tensor([[-1.5, -3.0]]))


def test_refuses_what_cannot_be_a_pair_or_a_scale():
    with pytest.raises(ObjectiveError, match="pairs must come as two rows each, got 3 rows"):
        pair_log_probs(torch.zeros(3, 2), torch.ones(3, 2, dtype=torch.bool), mean=True)
    with pytest.raises(ObjectiveError, match="beta must be above 0"):
        dpo(MEANS, MEANS, beta=0.0)
    with pytest.raises(ObjectiveError, match="gamma must be at least 0"):
        simpo(MEANS, beta=1.0, gamma=-1.0)
    with pytest.raises(
        ObjectiveError, match=r"shapes must be equal, got student \(1, 2\), reference \(2, 2\)"
    ):
        dpo(MEANS, MEANS.repeat(2, 1), beta=0.1)
