"""What alpha is for: pushing wrong traces down as hard as right ones up takes what both share along.

A table of next-token scores, learnt by gradient descent. The right trace shares its beginning with a wrong
one that is a little shorter, so its tokens weigh 1/6 in the one mean and alpha/5 in the other.
"""

import pytest
import torch

from limbeck.objectives import cross_entropy

RIGHT = torch.tensor([0, 1, 2, 3, 4, 5, 6])
WRONG = torch.tensor([0, 1, 2, 3, 7, 8])
TOKENS, STEPS, RATE = 9, 200, 1.0


def means(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy per token of the right trace and of the wrong one."""
    right, wrong = (cross_entropy(scores[trace[:-1]], trace[1:]).mean() for trace in (RIGHT, WRONG))
    return right, wrong


def learnt(alpha: float) -> torch.Tensor:
    """Scores after a first stage on the right trace and a second one on the pair."""
    scores = torch.zeros(TOKENS, TOKENS, requires_grad=True)
    optimizer = torch.optim.SGD([scores], lr=RATE)
    for weight in [0.0] * 10 + [alpha] * STEPS:
        right, wrong = means(scores)
        optimizer.zero_grad()
        (right - weight * wrong).backward()
        optimizer.step()
    return scores.detach()


def shared(scores: torch.Tensor) -> float:
    """Cross-entropy of the tokens that both traces begin with."""
    return cross_entropy(scores[RIGHT[:3]], RIGHT[1:4]).mean().item()


def test_with_a_smaller_weight_right_and_wrong_come_apart():
    gap = {alpha: (means(learnt(alpha))[1] - means(learnt(alpha))[0]).item() for alpha in (0.0, 0.8)}
    assert gap[0.8] > gap[0.0] + 1


def test_with_equal_weights_the_shared_beginning_becomes_unlikely():
    start = shared(torch.zeros(TOKENS, TOKENS))
    assert shared(learnt(1.0)) > start + 1
    assert shared(learnt(0.8)) < start


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.8])
def test_wrong_traces_fall_the_more_the_larger_alpha(alpha):
    assert means(learnt(alpha))[1] > means(learnt(alpha - 0.2))[1]
