"""The precision that values are computed in."""

import torch
from torch import Tensor


def wide(tensor: Tensor) -> Tensor:
    """Float32, whatever comes in; float64 stays, for exact tests."""
    return tensor if tensor.dtype is torch.float64 else tensor.float()
