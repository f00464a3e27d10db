"""What can be tapped inside of a transformers model while it reads: one module a tap, found by its name.

A tap is asked for with a site, `(tap, site)` in `core.needs.Needs`, and its value stands under the
same pair in `core.outputs.Outputs.taps`.
"""

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from limbeck.core.errors import ModelError
from limbeck.core.needs import Site

if TYPE_CHECKING:
    from torch import Tensor

    from limbeck.core.forward_model import ForwardModel

TAPS = tuple(sorted(one.name for one in pkgutil.iter_modules(__path__)))
"""Names of all taps that models have."""


@dataclass(frozen=True)
class Forward:
    """One pass of a model over its inputs.

    Attributes:
        reader: of the model.
        inputs: that it has read.
        answer: of the model's body or, where it gives logits itself, of the whole model.
        caught: what the tap's `around` gave.
    """

    reader: "ForwardModel"
    inputs: "Mapping[str, Tensor]"
    answer: Any
    caught: Any


def _nothing_around(reader: "ForwardModel", sites: Sequence[Site]) -> AbstractContextManager[Any]:
    return nullcontext()


@dataclass(frozen=True)
class Tap:
    """How one thing is taken out of a forward pass.

    Attributes:
        take: its value at a site, once the pass is over; a tensor or a tuple of tensors, as a rule.
        options: arguments of the model's forward that let it give the thing.
        around: holds hooks while the model reads, and gives what they catch; refuses unknown sites.
    """

    take: Callable[[Forward, Site], Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    around: "Callable[[ForwardModel, Sequence[Site]], AbstractContextManager[Any]]" = _nothing_around


@cache
def tap(name: str) -> Tap:
    """The tap of a name.

    Raises:
        ModelError: models have no such tap.
    """
    if name not in TAPS:
        raise ModelError(f"tap of a model must be one of {', '.join(TAPS)}, got {name}.")
    found: Tap = import_module(f"{__name__}.{name}").TAP
    return found
