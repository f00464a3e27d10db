"""Reverse KL of whole sequences in a world of 3 tokens and 27 sequences: exact, in float64.

Logits are tables by prefix, so that every expectation is a sum over all sequences.
"""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from limbeck.core.rollouts import Advantages
from limbeck.objectives import policy_gradient, reverse_kl
from limbeck.rollouts.returns import advantages

V, T = 3, 3
SEQUENCES = torch.tensor(list(product(range(V), repeat=T)))
PREFIXES = {
    prefix: place for place, prefix in enumerate(p for n in range(T) for p in product(range(V), repeat=n))
}
STATES = torch.tensor([[PREFIXES[tuple(line[:t].tolist())] for t in range(T)] for line in SEQUENCES])
EXACT = {"atol": 1e-10, "rtol": 0.0}


def table(seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(len(PREFIXES), V, generator=random, dtype=torch.float64)


TEACHER = table(1)


def token_log_probs(logits: Tensor) -> Tensor:
    """[27, 3] of every token of every sequence."""
    return logits.log_softmax(-1)[STATES, SEQUENCES]


def gradient(loss: Callable[[Tensor], Tensor]) -> Tensor:
    student = table(0).requires_grad_()
    (found,) = torch.autograd.grad(loss(student), student)
    return found


def whole(student: Tensor) -> Tensor:
    """KL(student || teacher) of sequences, by its definition."""
    log_q, log_p = token_log_probs(student).sum(1), token_log_probs(TEACHER).sum(1)
    return (log_q.exp() * (log_q - log_p)).sum()


def single_step(student: Tensor) -> Tensor:
    """The reverse KL of each next token on the student's own sequences, which are held constant."""
    weight = token_log_probs(student).sum(1).exp().detach()
    return (weight[:, None] * reverse_kl(student[STATES], TEACHER[STATES])).sum()


def by_policy_gradient(return_from: str, discount: float) -> Callable[[Tensor], Tensor]:
    settings = Advantages(return_from=return_from, discount=discount)

    def loss(student: Tensor) -> Tensor:
        log_q = token_log_probs(student).detach()
        gains = advantages(token_log_probs(TEACHER) - log_q, torch.ones_like(SEQUENCES).bool(), settings)
        values = policy_gradient(student[STATES], SEQUENCES, gains, log_q)
        return (log_q.sum(1).exp()[:, None] * values).sum()

    return loss


def test_objectives_keep_float64():
    assert single_step(table(0)).dtype is by_policy_gradient("t", 1.0)(table(0)).dtype is torch.float64


def test_the_exact_step_and_what_follows_make_the_whole_gradient():
    parts = gradient(single_step) + gradient(by_policy_gradient("t+1", 1.0))
    torch.testing.assert_close(parts, gradient(whole), **EXACT)


def test_a_return_from_the_token_itself_counts_the_exact_step_twice():
    excess = gradient(single_step) + gradient(by_policy_gradient("t", 1.0)) - gradient(whole)
    assert excess.abs().max() > 0.01
    torch.testing.assert_close(excess, gradient(single_step), **EXACT)


def test_policy_gradient_alone_is_the_whole_gradient_without_discount():
    torch.testing.assert_close(gradient(by_policy_gradient("t", 1.0)), gradient(whole), **EXACT)


def test_without_look_ahead_it_is_gkd_on_the_students_own_sequences():
    torch.testing.assert_close(gradient(by_policy_gradient("t", 0.0)), gradient(single_step), **EXACT)


@pytest.mark.parametrize("discount", [0.3, 0.7])
def test_a_discount_lies_between(discount):
    ends = [gradient(by_policy_gradient("t", end)) for end in (0.0, 1.0)]
    between = gradient(by_policy_gradient("t", discount))
    assert (between - ends[1]).norm() < (ends[0] - ends[1]).norm()


def test_samples_give_the_gradient_with_more_noise_than_the_whole_vocabulary():
    # 20,000 draws of sequences; both estimates are means over them, one with a gradient for each draw.
    many = 20_000
    random = torch.Generator().manual_seed(3)
    student = table(0)
    drawn = torch.multinomial(token_log_probs(student).sum(1).exp(), many, replacement=True, generator=random)
    q, log_ratio = student.softmax(-1), student.log_softmax(-1) - TEACHER.log_softmax(-1)
    onehot = torch.eye(V, dtype=torch.float64)[SEQUENCES]
    reward = -log_ratio[STATES, SEQUENCES]
    sampled = torch.zeros(27, *student.shape, dtype=torch.float64)
    exact = torch.zeros_like(sampled)
    lines = torch.arange(27)[:, None].expand_as(STATES)
    sampled.index_put_((lines, STATES), -reward[..., None] * (onehot - q[STATES]), accumulate=True)
    kl = (q * log_ratio).sum(-1, keepdim=True)
    exact.index_put_((lines, STATES), (q * (log_ratio - kl))[STATES], accumulate=True)
    noise = sampled[drawn].std(0) / many**0.5
    assert ((sampled[drawn].mean(0) - gradient(single_step)).abs() <= 4 * noise + 1e-12).all()
    assert sampled[drawn].var(0).sum() > 1.5 * exact[drawn].var(0).sum()
