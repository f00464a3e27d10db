"""Parameters that a step leaves out (experts without a token, a head without a target), on several ranks.

Ranks add up the gradient of a parameter when it has taken part in a backward pass on all of them. One that
a rank leaves out would be waited for in vain; and one that all leave out must have no gradient rather than
zeros, which AdamW would take for a step.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def with_all_behind(loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """The loss as it is, with all parameters behind it; those that it does not read get no gradient."""
    behind: Tensor = _Behind.apply(loss, *parameters)
    return behind


class Reached:
    """Which parameters got a gradient in a step.

    Args:
        parameters: to look at, in an order that is the same on all ranks.
        add_up: sums a tensor over all ranks.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], add_up: Callable[[Tensor], Tensor]) -> None:
        self._parameters, self._add_up = parameters, add_up
        self._found = [False] * len(parameters)
        for place, parameter in enumerate(parameters):
            parameter.register_post_accumulate_grad_hook(self._noter(place))

    def take_back_others(self) -> None:
        """Remove the zeros that ranks have added up where no rank had a gradient; call once a step."""
        reached = self._add_up(torch.tensor(self._found, dtype=torch.float32)).tolist()
        for parameter, ranks in zip(self._parameters, reached, strict=True):
            if not ranks:
                parameter.grad = None
        self._found = [False] * len(self._parameters)

    def _noter(self, place: int) -> Callable[[Tensor], None]:
        def note(parameter: Tensor) -> None:
            # Called, too, for a parameter that took part with nothing.
            if parameter.grad is not None:
                self._found[place] = True

        return note


class _Behind(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Tensor, *parameters: Tensor) -> Tensor:
        ctx.others = len(parameters)
        return loss.view_as(loss)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return (*gradients, *[None] * ctx.others)
