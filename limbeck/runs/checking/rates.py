"""How fast this machine computes, and what a model costs for each token, for times in a plan.

A small model is not bound by its matrix products: attention, and everything that passes over activations or
scores one number at a time, cost as much or more. Both speeds are timed here; the constants are fitted to
Llama models of width 64 to 512 on one core, which they meet within a fifth (docs/log.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch

from limbeck.runs.assembly.models import ModelInfo

_PRODUCT = 512  # width of the matrices that are timed
_NUMBERS = 1 << 20  # that are timed one by one
_OF_PRODUCT = 0.7  # share of the timed product's speed that the products of a model reach
_PASSED, _SCORED = 100, 15  # numbers a token passes in a training step, per layer and width, and per score
_TRAINED = 6  # floating point operations a parameter and token of a training step
_CALL = 1e-3  # seconds that a layer needs at least for one more token, whatever its size
_TIMED = 4  # times; the first one warms up


@dataclass(frozen=True)
class Rates:
    """Speeds of this machine.

    Attributes:
        operations: floating point operations a second that the products of a model reach.
        numbers: a second, one by one.
    """

    operations: float
    numbers: float

    def effective(self, shape: ModelInfo, length: int) -> float:
        """Parameters that a model without attention and activations would have, to cost as much a token.

        Args:
            shape: of the model.
            length: tokens of a row.
        """
        layers = shape.depth * shape.width
        passed = (_PASSED * layers + _SCORED * shape.vocabulary) / self.numbers * self.operations / _TRAINED
        unread = 0 if getattr(shape.config, "tie_word_embeddings", True) else shape.vocabulary * shape.width
        return shape.parameters - unread + 2 * length * layers + passed

    def calls(self, shape: ModelInfo, tokens: int) -> float:
        """Seconds in which a model generates so many tokens one after another, at least."""
        return _CALL * shape.depth * tokens


def machine_rates() -> Rates:
    """Time a matrix product and a pass over many numbers."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    matrix, numbers = torch.ones(_PRODUCT, _PRODUCT, device=device), torch.ones(_NUMBERS, device=device)
    product = _seconds(lambda: matrix @ matrix)
    return Rates(_OF_PRODUCT * 2 * _PRODUCT**3 / product, _NUMBERS / _seconds(numbers.exp))


def _seconds(compute: Callable[[], torch.Tensor]) -> float:
    best = float("inf")
    for _ in range(_TIMED):
        start = perf_counter()
        float(compute().flatten()[0])
        best = min(best, perf_counter() - start)
    return best
