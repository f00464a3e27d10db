"""Total variation against worked numbers and its range."""

import torch

from limbeck.objectives import total_variation
from tests.objectives.worked import check_worked


def test_matches_the_worked_numbers():
    check_worked(total_variation, 0.5, [-0.16, 0.1, 0.06])


def test_is_1_between_distributions_without_overlap():
    s, z = torch.tensor([[300.0, 0.0]]), torch.tensor([[0.0, 300.0]])
    torch.testing.assert_close(total_variation(s, z), torch.ones(1))


def test_is_symmetric():
    s, z = torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[1.0, 1.0, -1.0]])
    torch.testing.assert_close(total_variation(s, z), total_variation(z, s))
