"""What holds for all tests."""

import pytest
import torch


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """What a test draws from torch's global generator does not depend on the tests before it."""
    torch.manual_seed(0)
