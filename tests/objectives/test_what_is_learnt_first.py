"""Forward and reverse KL reach one optimum by two ways: the head of the teacher first, or its tail.

The toy of Wu et al. 2024 (arXiv:2404.02657): a half-normal teacher over 80 outcomes, free student scores.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from limbeck.objectives import adaptive_kl, forward_kl, reverse_kl

OUTCOMES, WIDTH, GRID = 80, 16.0, 1.25
EARLY, LATE = 10, 300


def teacher() -> Tensor:
    return (-((GRID * torch.arange(OUTCOMES)) ** 2) / (2 * WIDTH**2))[None]


def loss_mask(objective: Callable[..., Tensor], steps: int, seed: int) -> Tensor:
    """The student's probabilities after so many steps of Adam."""
    scores = torch.rand(1, OUTCOMES, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    optimizer = torch.optim.Adam([scores], lr=0.2)
    for _ in range(steps):
        optimizer.zero_grad()
        objective(scores, teacher()).sum().backward()
        optimizer.step()
    return scores.detach().softmax(-1)


def head_gap(q: Tensor) -> float:
    """Summed difference in the head, over the head's mass."""
    p = teacher().softmax(-1)
    head = p.cumsum(-1) - p < 0.5
    return ((p - q).abs()[head].sum() / p[head].sum()).item()


def far_mass(q: Tensor) -> float:
    """What the student still puts on the unlikely half of the outcomes."""
    return q[:, OUTCOMES // 2 :].sum().item()


@pytest.mark.parametrize("seed", range(3))
def test_forward_kl_learns_the_head_first_and_reverse_kl_the_tail(seed):
    forward, reverse = (loss_mask(objective, EARLY, seed) for objective in (forward_kl, reverse_kl))
    assert head_gap(forward) < 0.5 * head_gap(reverse)
    assert far_mass(reverse) < 0.8 * far_mass(forward)


@pytest.mark.parametrize("seed", range(3))
def test_adaptive_kl_is_ahead_of_reverse_kl_in_both_and_ends_nearest(seed):
    forward, reverse, adaptive = (
        loss_mask(objective, EARLY, seed) for objective in (forward_kl, reverse_kl, adaptive_kl)
    )
    assert head_gap(forward) < head_gap(adaptive) < head_gap(reverse)
    assert far_mass(adaptive) < far_mass(reverse) < far_mass(forward)
    late = [head_gap(loss_mask(objective, LATE, seed)) for objective in (adaptive_kl, forward_kl, reverse_kl)]
    assert late[0] < min(late[1:])


@pytest.mark.parametrize("objective", [forward_kl, reverse_kl, adaptive_kl])
def test_all_end_at_the_teacher(objective):
    assert head_gap(loss_mask(objective, LATE, 0)) < 3e-3
