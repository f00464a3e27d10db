"""Losses on pairs of answers against numbers printed by official code."""

import pytest
import torch
from torch import Tensor

from limbeck.objectives import cross_entropy
from limbeck.objectives.preference import dpo, simpo
from tests.parity import official

CHOSEN, REJECTED = torch.tensor(official.CHOSEN), torch.tensor(official.REJECTED)


def scores_of(mean: float) -> Tensor:
    """Scores of two outcomes whose first has this log-probability."""
    first = torch.tensor(mean)
    return torch.stack([first, torch.log1p(-first.exp())])


@pytest.mark.parametrize("alpha", [0.8, 1.0])
def test_redi_is_two_cross_entropies_each_a_mean_over_the_tokens_of_an_answer(alpha):
    # Every token of an answer gets the answer's mean log-probability.
    zero = torch.tensor([0])
    for pair, expected in enumerate(official.REDI[alpha]):
        means = [
            official.CHOSEN[pair] / official.CHOSEN_LENGTHS[pair],
            official.REJECTED[pair] / official.REJECTED_LENGTHS[pair],
        ]
        chosen, rejected = (cross_entropy(scores_of(mean)[None], zero) for mean in means)
        torch.testing.assert_close(chosen - alpha * rejected, torch.tensor([expected]), atol=1e-6, rtol=0)


def test_dpo_is_the_sigmoid_loss():
    pairs = torch.stack([CHOSEN, REJECTED], -1).requires_grad_()
    found = dpo(pairs, torch.tensor(official.REFERENCE).T, beta=0.1)
    found.sum().backward()
    torch.testing.assert_close(found.detach(), torch.tensor(official.DPO[0]), atol=2e-6, rtol=0)
    torch.testing.assert_close(pairs.grad[:, 0], torch.tensor(official.DPO[1]), atol=2e-6, rtol=0)
    torch.testing.assert_close(pairs.grad[:, 1], -torch.tensor(official.DPO[1]), atol=2e-6, rtol=0)


def test_simpo_is_trls():
    means = torch.stack(
        [CHOSEN / torch.tensor(official.CHOSEN_LENGTHS), REJECTED / torch.tensor(official.REJECTED_LENGTHS)],
        -1,
    ).requires_grad_()
    found = simpo(means, beta=2.0, gamma=1.0)
    found.sum().backward()
    torch.testing.assert_close(found.detach(), torch.tensor(official.SIMPO[0]), atol=5e-6, rtol=0)
    torch.testing.assert_close(means.grad[:, 0], torch.tensor(official.SIMPO[1]), atol=2e-6, rtol=0)
