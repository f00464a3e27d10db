"""Errors of raw class scores: values by hand, and what the correction toward the label does."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.objectives import corrected_mse, cross_entropy, logit_mse
from tests.objectives.worked import P, Q, logits, top, value_and_gradient

WRONG = torch.tensor([1])  # the teacher P believes in class 0


def test_logit_mse_matches_a_value_worked_out_by_hand():
    s, z = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0.0, 4.0, 4.0]])
    value, gradient = value_and_gradient(logit_mse, s, z)
    torch.testing.assert_close(value, torch.tensor([5 / 3]))
    torch.testing.assert_close(gradient, torch.tensor([[2 / 3, -4 / 3, 0.0]]))


def test_corrected_mse_matches_the_value_worked_out_by_hand():
    # (.7 * 1 + .2 * 16 + .1 * 1) / 3, gradient 2 / 3 (p - y).
    value, gradient = value_and_gradient(corrected_mse, P.log(), P.log(), WRONG)
    torch.testing.assert_close(value, torch.tensor([4 / 3]))
    torch.testing.assert_close(gradient, 2 / 3 * torch.tensor([[0.7, -0.8, 0.1]]))


def test_at_equal_scores_its_gradient_is_that_of_cross_entropy_whoever_is_right():
    z, labels = logits(5, 4, seed=0), torch.tensor([0, 1, 2, 3, 0])
    _, found = value_and_gradient(corrected_mse, z, z, labels)
    _, expected = value_and_gradient(cross_entropy, z, labels)
    torch.testing.assert_close(found, 2 / 4 * expected)


def test_the_teacher_has_influence_unlike_in_the_variant_with_kl():
    _, one = value_and_gradient(corrected_mse, Q.log(), P.log(), WRONG)
    _, other = value_and_gradient(corrected_mse, Q.log(), P.flip(-1).log(), WRONG)
    assert (one - other).abs().max() > 0.1


def test_with_a_sure_and_right_teacher_it_is_the_weighted_error():
    s, z = torch.tensor([[3.0, 0.0, 1.0]]), torch.tensor([[30.0, 0.0, 0.0]])
    found = corrected_mse(s, z, torch.tensor([0]))
    torch.testing.assert_close(found, torch.tensor([27.0**2 / 3]))


def test_a_teacher_sure_of_a_wrong_class_gives_a_finite_value_and_a_bounded_gradient():
    s, z = torch.zeros(1, 3), torch.tensor([[300.0, 0.0, 0.0]])
    value, gradient = value_and_gradient(corrected_mse, s, z, WRONG)
    assert value.isfinite().all()
    torch.testing.assert_close(gradient, 2 / 3 * torch.tensor([[-299.0, -1.0, 0.0]]))
    smooth = corrected_mse(torch.zeros(1, 3), torch.tensor([[20.0, 0.0, 0.0]]), WRONG, smoothing=0.1)
    assert smooth < 150 < corrected_mse(torch.zeros(1, 3), torch.tensor([[20.0, 0.0, 0.0]]), WRONG)


@pytest.mark.parametrize("objective", [logit_mse, corrected_mse])
def test_a_stored_teacher_is_refused(objective):
    labels = (WRONG,) if objective is corrected_mse else ()
    with pytest.raises(ObjectiveError, match="must give raw scores, got a stored top-k"):
        objective(Q.log(), top(P.log(), 2), *labels)


def test_refuses_a_smoothing_outside_its_range():
    with pytest.raises(ObjectiveError, match=r"smoothing must lie in \(0, 1\)"):
        corrected_mse(Q.log(), P.log(), WRONG, smoothing=1.0)
    with pytest.raises(ObjectiveError, match=r"smoothing must lie"):
        corrected_mse(Q.log(), P.log(), WRONG, smoothing=math.nan)
