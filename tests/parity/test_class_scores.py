"""Objectives and uncertainties of classifiers against numbers printed by official code."""

import torch

from limbeck.objectives import corrected_mse, logit_mse
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
