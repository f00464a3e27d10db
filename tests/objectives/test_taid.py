"""TAID against hand-derived values and its own limits; no model, under a second."""

import math

import pytest
import torch
from torch.nn.functional import kl_div

from limbeck.core.errors import ObjectiveError
from limbeck.objectives import reverse_kl, taid
from tests.objectives.worked import P, Q, check_worked, logits, top, value_and_gradient

ATOL = 1e-6


def test_matches_the_worked_numbers():
    check_worked(taid, 0.085748, [-0.179436, 0.101641, 0.077795], t=0.4)


def test_matches_a_value_worked_out_by_hand():
    # s = (0, 0) gives q = (1/2, 1/2); z = (ln 9, 0) at t = 1/2 gives p = (3/4, 1/4).
    s, z = torch.zeros(1, 2), torch.tensor([[math.log(9), 0.0]])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    torch.testing.assert_close(taid(s, z, t=0.5), torch.tensor([expected]), atol=ATOL, rtol=0)


def test_is_zero_with_zero_gradient_when_the_target_is_the_student():
    s = logits(2, 5, 11, seed=0).requires_grad_()
    loss = taid(s, logits(2, 5, 11, seed=1), t=0.0)
    loss.sum().backward()
    torch.testing.assert_close(loss, torch.zeros(2, 5), atol=ATOL, rtol=0)
    torch.testing.assert_close(s.grad, torch.zeros_like(s), atol=ATOL, rtol=0)


def test_is_forward_kl_when_the_target_is_the_teacher():
    s, z = logits(2, 5, 11, seed=0), logits(2, 5, 11, seed=1)
    reference = kl_div(s.log_softmax(-1), z.log_softmax(-1), log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(taid(s, z, t=1.0), reference)


@pytest.mark.parametrize("t", [0.1, 0.4, 0.9])
def test_gradient_is_student_minus_target(t):
    # Fails if the student's part of the target is not detached.
    s, z = logits(3, 7, seed=2), logits(3, 7, seed=3)
    _, gradient = value_and_gradient(taid, s, z, t=t)
    target = ((1 - t) * s + t * z).softmax(-1)
    torch.testing.assert_close(gradient, s.softmax(-1) - target, atol=ATOL, rtol=0)


def test_starts_in_the_direction_of_reverse_kl():
    _, gradient = value_and_gradient(taid, Q.log(), P.log(), t=1e-3)
    _, limit = value_and_gradient(reverse_kl, Q.log(), P.log())
    torch.testing.assert_close(gradient / 1e-3, limit, atol=1e-3, rtol=0)


def test_outside_the_kept_tokens_the_target_follows_the_student():
    # The same target built over the full vocabulary: z = s + c off K, c from the tail's mass.
    s, topk, t = logits(3, 12, seed=0), top(logits(3, 12, seed=1), 4), 0.6
    off = s.scatter(-1, topk.ids, -torch.inf).logsumexp(-1)
    z = (s + (topk.log_tail - off).unsqueeze(-1)).scatter(-1, topk.ids, topk.log_probs)
    for found, expected in zip(
        value_and_gradient(taid, s, topk, t=t), value_and_gradient(taid, s, z, t=t), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=ATOL, rtol=1e-5)


def test_names_both_shapes_when_they_differ():
    with pytest.raises(ObjectiveError, match=r"student_logits \(2, 5\), teacher_logits \(2, 6\)"):
        taid(torch.zeros(2, 5), torch.zeros(2, 6), t=0.5)


@pytest.mark.parametrize("t", [-0.1, 1.1, math.nan])
def test_refuses_a_share_outside_the_unit_interval(t):
    with pytest.raises(ObjectiveError, match=r"t must lie in \[0, 1\]"):
        taid(torch.zeros(1, 2), torch.zeros(1, 2), t=t)
