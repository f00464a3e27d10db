"""What happens to the batches of a train step: a file each, with a `make`. This file is the list."""

from limbeck.core.transform import Transform
from limbeck.runs.transforms import alignment, corpus, domains, rollouts, selection, spans
from limbeck.runs.transforms.training import Training

__all__ = ["make_transforms"]

_IN_ORDER = (domains, rollouts, corpus, spans, alignment, selection)


def make_transforms(training: Training) -> list[Transform]:
    """Those that the step asks for, in the order in which they are applied."""
    made = (module.make(training) for module in _IN_ORDER)
    return [one for one in made if one is not None]
