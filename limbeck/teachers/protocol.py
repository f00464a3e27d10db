"""What the engine asks of a teacher."""

from typing import Protocol, Self

import torch

from limbeck.core.batch import Batch
from limbeck.core.needs import Needs
from limbeck.core.outputs import Outputs


class Teacher(Protocol):
    """Whoever answers a batch with signals; the answer carries no gradient."""

    def answer(self, batch: Batch, needs: Needs) -> Outputs:
        """What `needs` asks for, for every position of `batch`."""

    def to(self, device: torch.device | str) -> Self:
        """Move to a device; returns itself."""
