"""MiniLLM's rewards, advantages and surrogate against numbers printed by its code."""

import math

import torch

from limbeck.core.rollouts import Advantages
from limbeck.objectives import cross_entropy, policy_gradient
from limbeck.rollouts.returns import advantages, whitened
from tests.parity import official
from tests.parity.official import LABELS, SAMPLED, TEACHER

MINILLM = Advantages(return_from="t", discount=0.95, length_normalised=True)


def test_the_teachers_part_of_the_reward_is_its_log_probability_of_the_sampled_token():
    expected = torch.tensor(official.TEACHER_REWARDS)
    torch.testing.assert_close(-cross_entropy(TEACHER, LABELS), expected, atol=2e-6, rtol=0)


def test_advantages_are_discounted_and_divided_by_the_tokens_left():
    found = advantages(official.REWARDS, SAMPLED, MINILLM)
    torch.testing.assert_close(found, torch.tensor(official.ADVANTAGES), atol=1e-6, rtol=0)


def test_whitening_is_minillms_in_several_processes_which_divides_by_the_number_of_tokens():
    everything = torch.ones(2, 4, dtype=torch.bool)
    found = whitened(advantages(official.WHOLE_REWARDS, everything, MINILLM), everything)
    in_one_process = torch.tensor(official.WHITENED)
    torch.testing.assert_close(found * math.sqrt(7 / 8), in_one_process, atol=2e-6, rtol=0)


def test_the_surrogate_is_the_clipped_one_with_the_importance_weight_in_the_sampling_policy():
    new = official.NEW_LOG_PROBS[SAMPLED].clone().requires_grad_()
    scores = torch.stack([new, torch.log1p(-new.exp())], -1)  # of two outcomes, the first was sampled
    sampled = (official.OLD_LOG_PROBS - official.IMPORTANCE.log())[SAMPLED]
    values = policy_gradient(
        scores,
        torch.zeros(len(new), dtype=torch.long),
        torch.tensor(official.ADVANTAGES)[SAMPLED],
        sampled,
        clip=0.2,
    )
    values.mean().backward()
    torch.testing.assert_close(values.mean().item(), official.POLICY_LOSS, atol=1e-6, rtol=0)
    torch.testing.assert_close(new.grad, torch.tensor(official.POLICY_SLOPES)[SAMPLED], atol=1e-6, rtol=0)
