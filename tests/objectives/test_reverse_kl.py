"""Reverse KL against worked numbers and its closed-form gradient."""

import pytest
import torch

from limbeck.objectives import forward_kl, reverse_kl
from tests.objectives.worked import P, Q, check_worked, logits, value_and_gradient


def test_matches_the_worked_numbers():
    check_worked(reverse_kl, 0.537176, [-0.357988, 0.189557, 0.168431])


def test_is_forward_kl_with_the_sides_swapped():
    s, z = logits(4, 9, seed=0), logits(4, 9, seed=1)
    torch.testing.assert_close(reverse_kl(s, z), forward_kl(z, s))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_gradient_is_q_times_log_ratio_minus_the_value(temperature):
    s, z = logits(3, 7, seed=2), logits(3, 7, seed=3)
    value, gradient = value_and_gradient(reverse_kl, s, z, temperature=temperature)
    log_q, log_p = (s / temperature).log_softmax(-1), (z / temperature).log_softmax(-1)
    expected = log_q.exp() * (log_q - log_p - value[:, None]) / temperature
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=0)


def test_is_infinite_where_the_student_has_mass_and_the_teacher_none():
    z = torch.tensor([[0.0, 0.0, -torch.inf]])
    assert torch.isposinf(reverse_kl(Q.log(), z)).all()
    assert torch.isfinite(reverse_kl(torch.tensor([[1.0, 0.0, -torch.inf]]), z)).all()


def test_the_squared_temperature_multiplies_the_value():
    plain = reverse_kl(Q.log(), P.log(), temperature=2.0)
    torch.testing.assert_close(
        reverse_kl(Q.log(), P.log(), temperature=2.0, temperature_squared=True), 4 * plain
    )
