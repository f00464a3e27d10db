"""Objectives and uncertainties of classifiers against numbers printed by official code."""

import pytest
import torch

from limbeck.objectives import corrected_mse, logit_mse
from limbeck.objectives.uncertainty import least_confidence, margin, normalised_entropy
from tests.objectives.worked import value_and_gradient
from tests.parity import official
from tests.parity.official import LABELS, STUDENT, TEACHER

ATOL = 3e-6


def test_corrected_mse_is_makds_with_and_without_smoothing():
    for smoothing, expected in ((0.0, official.CORRECTED_MSE), (0.1, official.CORRECTED_MSE_SMOOTHED)):
        values, gradients = value_and_gradient(corrected_mse, STUDENT, TEACHER, LABELS, smoothing=smoothing)
        torch.testing.assert_close(values, torch.tensor(expected.values), atol=ATOL, rtol=0)
        torch.testing.assert_close(gradients, torch.tensor(expected.gradients), atol=ATOL, rtol=0)


def test_logit_mse_is_makds():
    values, gradients = value_and_gradient(logit_mse, STUDENT, TEACHER)
    torch.testing.assert_close(values, torch.tensor(official.LOGIT_MSE.values), atol=ATOL, rtol=0)
    torch.testing.assert_close(gradients, torch.tensor(official.LOGIT_MSE.gradients), atol=ATOL, rtol=0)


def test_normalised_entropy_is_the_weight_in_dynamic_kds_readme():
    expected = torch.tensor(official.README_UNCERTAINTY)
    torch.testing.assert_close(normalised_entropy(STUDENT), expected, atol=5e-6, rtol=0)


@pytest.mark.parametrize("uncertainty", [normalised_entropy, margin, least_confidence])
def test_dynamic_kd_selects_the_examples_that_rank_first(uncertainty):
    ranked = uncertainty(official.FIVE_STUDENTS).argsort(descending=True).tolist()
    assert ranked[:3] == official.LEAST_SURE
    assert ranked[::-1][:3] == official.SUREST
