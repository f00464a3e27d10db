"""A temperature that is learnt, one for all positions."""

import torch
from torch import Tensor, nn


def temperature(*, start: float = 1.0, span: float = 20.0, initial: float = 1.0) -> "LearntTemperature":
    """`temperature` = start + span * sigmoid(tau), with one parameter tau.

    Args:
        start: least temperature.
        span: how far above it the temperature can go.
        initial: tau at first; 1 gives 1 + 20 * sigmoid(1) = 15.62 with the defaults, as published.

    Source:
        Li et al. 2023, arXiv:2211.16231 (curriculum temperature), global form. There the temperature
        is trained against the student, by a gradient scale that goes from 0 to -1 along half a
        cosine; the port in SakanaAI/TAID (`distil_losses/ctkd.py`) lets it go from +1 to 0.
    """
    return LearntTemperature(start, span, initial)


class LearntTemperature(nn.Module):
    """See `temperature`."""

    def __init__(self, start: float, span: float, initial: float) -> None:
        super().__init__()
        self.start, self.span = start, span
        self.tau = nn.Parameter(torch.tensor(float(initial)))

    def forward(self) -> dict[str, Tensor]:
        """The temperature, []."""
        return {"temperature": self.start + self.span * self.tau.sigmoid()}
