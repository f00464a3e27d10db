"""Forward KL against worked numbers, its closed-form gradient and the stored form."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import TopK
from limbeck.objectives import forward_kl
from tests.objectives.worked import ATOL, P, Q, check_worked, logits, top, value_and_gradient


def test_matches_the_worked_numbers():
    check_worked(forward_kl, 0.583815, [-0.5, 0.3, 0.2])


def test_matches_a_value_worked_out_by_hand():
    # q = (1/2, 1/2), p = (3/4, 1/4): 3/4 log(3/2) + 1/4 log(1/2).
    value = forward_kl(torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]]))
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    torch.testing.assert_close(value, torch.tensor([expected]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_squared_temperature_makes_the_gradient_t_times_q_minus_p(temperature):
    s, z = logits(3, 7, seed=0), logits(3, 7, seed=1)
    _, gradient = value_and_gradient(forward_kl, s, z, temperature=temperature, temperature_squared=True)
    expected = temperature * ((s / temperature).softmax(-1) - (z / temperature).softmax(-1))
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=0)


def test_a_teacher_of_one_token_and_a_tail_matches_the_worked_numbers():
    topk = TopK(torch.tensor([[0]]), P[:, :1].log(), torch.tensor([0.3]).log())
    value, gradient = value_and_gradient(forward_kl, Q.log(), topk)
    torch.testing.assert_close(value, torch.tensor([0.582685]), atol=ATOL, rtol=0)
    torch.testing.assert_close(gradient, torch.tensor([[-0.5, 0.3125, 0.1875]]), atol=ATOL, rtol=0)


def test_renormalising_is_a_soft_cross_entropy_over_the_kept_tokens():
    # K = {0, 1}: p becomes (7/9, 2/9); the gradient is q - p there and q off K.
    topk = TopK(torch.tensor([[0, 1]]), P[:, :2].log(), torch.tensor([0.1]).log())
    value, gradient = value_and_gradient(forward_kl, Q.log(), topk, tail="renormalise")
    expected = 7 / 9 * math.log(7 / 9 / 0.2) + 2 / 9 * math.log(2 / 9 / 0.5)
    torch.testing.assert_close(value, torch.tensor([expected]), atol=1e-6, rtol=0)
    torch.testing.assert_close(gradient, torch.tensor([[0.2 - 7 / 9, 0.5 - 2 / 9, 0.3]]), atol=1e-6, rtol=0)


def test_the_bucket_keeps_student_mass_that_one_minus_the_sum_would_lose():
    # Off the kept token the student has mass 2 exp(-40): 1 - q rounds to 0 in float32.
    s = torch.tensor([[40.0, 0.0, 0.0]])
    topk = TopK(torch.tensor([[0]]), torch.tensor([[math.log(0.5)]]), torch.tensor([math.log(0.5)]))
    expected = math.log(0.5) + 0.5 * (40 - math.log(2))
    torch.testing.assert_close(forward_kl(s, topk), torch.tensor([expected]), rtol=1e-6, atol=0)


def test_a_temperature_needs_the_whole_teacher():
    with pytest.raises(ObjectiveError, match="temperature must be 1 with a stored top-k teacher, got 2"):
        forward_kl(Q.log(), top(P.log(), 2), temperature=2.0)


def test_names_both_shapes_when_they_differ():
    with pytest.raises(ObjectiveError, match=r"student_logits \(2, 5\), teacher_logits \(2, 6\)"):
        forward_kl(torch.zeros(2, 5), torch.zeros(2, 6))


def test_names_the_shapes_of_a_stored_teacher_that_does_not_fit():
    with pytest.raises(ObjectiveError, match=r"ids and log_probs \(2, 'K'\)"):
        forward_kl(torch.zeros(2, 5), top(torch.zeros(3, 5), 2))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_refuses_a_temperature_that_is_not_positive(temperature):
    with pytest.raises(ObjectiveError, match="temperature must be above 0"):
        forward_kl(Q.log(), P.log(), temperature=temperature)


def test_refuses_an_unknown_tail():
    with pytest.raises(ObjectiveError, match="tail must be 'drawn' or 'bucket' or 'renormalise', got 'drop'"):
        forward_kl(Q.log(), P.log(), tail="drop")
