"""Decoupled distillation: recomposition, a worked value, and labels inside and outside a stored teacher."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import TopK
from limbeck.objectives import decoupled_kd, forward_kl
from tests.objectives.worked import P, Q, logits, value_and_gradient

LABEL = torch.tensor([0])


def test_matches_values_worked_out_by_hand():
    # Label 0: pairs (.7, .3) and (.2, .8); the rest (2/3, 1/3) and (5/8, 3/8).
    target = 0.7 * math.log(0.7 / 0.2) + 0.3 * math.log(0.3 / 0.8)
    rest = 2 / 3 * math.log(2 / 3 / 0.625) + 1 / 3 * math.log(1 / 3 / 0.375)
    for alpha, beta in ((1.0, 0.0), (0.0, 1.0), (1.0, 8.0)):
        found = decoupled_kd(Q.log(), P.log(), LABEL, alpha=alpha, beta=beta)
        torch.testing.assert_close(found, torch.tensor([alpha * target + beta * rest]), atol=1e-6, rtol=0)


def test_gradients_match_the_closed_forms():
    # Target part: q_y - p_y at the label, spread over the rest as -(q_y - p_y) times the rest's shares.
    _, target = value_and_gradient(decoupled_kd, Q.log(), P.log(), LABEL, alpha=1.0, beta=0.0)
    torch.testing.assert_close(target, torch.tensor([[-0.5, 0.5 * 0.625, 0.5 * 0.375]]), atol=1e-6, rtol=0)
    _, rest = value_and_gradient(decoupled_kd, Q.log(), P.log(), LABEL, alpha=0.0, beta=1.0)
    torch.testing.assert_close(rest, torch.tensor([[0.0, 0.625 - 2 / 3, 0.375 - 1 / 3]]), atol=1e-6, rtol=0)


def test_its_parts_recompose_forward_kl():
    s, z, labels = logits(6, 9, seed=0), logits(6, 9, seed=1), torch.arange(6)
    target = decoupled_kd(s, z, labels, alpha=1.0, beta=0.0)
    rest = decoupled_kd(s, z, labels, alpha=0.0, beta=1.0)
    not_label = 1 - z.softmax(-1).gather(-1, labels[:, None]).squeeze(-1)
    torch.testing.assert_close(target + not_label * rest, forward_kl(s, z))


@pytest.mark.parametrize("label", [0, 1, 2])
def test_a_label_outside_the_kept_tokens_stands_for_the_bucket(label):
    # Kept tokens 0 and 1 of four; the coarse problem has the bucket as its third outcome.
    p, q = torch.tensor([[0.5, 0.2, 0.2, 0.1]]), torch.tensor([[0.3, 0.3, 0.1, 0.3]])
    topk = TopK(torch.tensor([[0, 1]]), p[:, :2].log(), torch.tensor([0.3]).log())
    coarse_p, coarse_q = torch.tensor([[0.5, 0.2, 0.3]]).log(), torch.tensor([[0.3, 0.3, 0.4]]).log()
    found = decoupled_kd(q.log(), topk, torch.tensor([label]), alpha=1.0, beta=2.0)
    expected = decoupled_kd(coarse_q, coarse_p, torch.tensor([label]), alpha=1.0, beta=2.0)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("alpha", "beta"), [(-1.0, 1.0), (1.0, math.inf)])
def test_refuses_weights_that_are_negative_or_infinite(alpha, beta):
    with pytest.raises(ObjectiveError, match="must be at least 0 and finite"):
        decoupled_kd(Q.log(), P.log(), LABEL, alpha=alpha, beta=beta)
