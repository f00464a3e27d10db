"""Policy gradient by hand, its clipping, and the refusals."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.objectives import policy_gradient

LOGITS = torch.tensor([[0.2, 0.5, 0.3]]).log()


def loss(advantage: float, sampled: float, clip: float = 0.0, logits: torch.Tensor = LOGITS) -> torch.Tensor:
    numbers = torch.tensor([advantage]), torch.tensor([sampled]).log()
    return policy_gradient(logits, torch.tensor([1]), *numbers, clip=clip)


def test_matches_a_value_and_a_gradient_worked_out_by_hand():
    # q = (.2, .5, .3), token 1 sampled with probability .4: ratio 1.25; A = 2.
    logits = LOGITS.clone().requires_grad_()
    value = loss(2.0, 0.4, logits=logits)
    value.sum().backward()
    torch.testing.assert_close(value.detach(), torch.tensor([-2.5]))
    # d/dz = -A * ratio * (onehot - q)
    torch.testing.assert_close(logits.grad, -2.5 * torch.tensor([[-0.2, 0.5, -0.3]]))


def test_on_its_own_samples_the_gradient_is_the_advantage_times_the_score():
    logits = LOGITS.clone().requires_grad_()
    loss(-3.0, 0.5, logits=logits).sum().backward()
    expected = LOGITS.clone().requires_grad_()
    (3.0 * expected.log_softmax(-1)[0, 1]).backward()
    torch.testing.assert_close(logits.grad, expected.grad)


@pytest.mark.parametrize(
    ("advantage", "sampled", "moves"),
    # ratios 1.25 and 0.5 around an interval of 0.8 to 1.2
    [(1.0, 0.4, False), (-1.0, 0.4, True), (1.0, 1.0, True), (-1.0, 1.0, False)],
)
def test_clipping_stops_what_has_moved_far_enough(advantage, sampled, moves):
    logits = LOGITS.clone().requires_grad_()
    value = loss(advantage, sampled, clip=0.2, logits=logits)
    value.sum().backward()
    assert bool(logits.grad.abs().sum() > 0) is moves
    ratio = 0.5 / sampled
    expected = max(-advantage * ratio, -advantage * min(max(ratio, 0.8), 1.2))
    assert math.isclose(value.item(), expected, rel_tol=1e-6)


def test_a_clip_of_one_or_more_is_refused():
    with pytest.raises(ObjectiveError, match=r"clip must lie in \[0, 1\), got 1.0"):
        loss(1.0, 0.5, clip=1.0)
