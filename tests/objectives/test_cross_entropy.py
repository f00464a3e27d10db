"""Cross-entropy by hand and by torch."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.objectives import cross_entropy
from tests.objectives.worked import Q, logits, value_and_gradient


def test_is_minus_the_log_probability_of_the_label():
    value, gradient = value_and_gradient(cross_entropy, Q.log(), torch.tensor([1]))
    torch.testing.assert_close(value, torch.tensor([math.log(2)]), atol=1e-6, rtol=0)
    torch.testing.assert_close(gradient, torch.tensor([[0.2, -0.5, 0.3]]), atol=1e-6, rtol=0)


def test_equals_torch_with_classes_last():
    s, labels = logits(2, 3, 7, seed=0), torch.tensor([[0, 6, 3], [1, 2, 5]])
    expected = torch.nn.functional.cross_entropy(s.transpose(1, 2), labels, reduction="none")
    torch.testing.assert_close(cross_entropy(s, labels), expected)


def test_names_the_shapes_when_labels_do_not_fit():
    with pytest.raises(ObjectiveError, match=r"labels must be \(2, 3\), one id for each position"):
        cross_entropy(torch.zeros(2, 3, 7), torch.zeros(2, dtype=torch.long))
