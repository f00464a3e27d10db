"""What happens to the batches of a train step, a file each."""

from importlib import import_module

from limbeck.core.transform import Transform
from limbeck.runs.assembly.transforms import alignment, corpus, domains, drawn, rollouts, selection, spans
from limbeck.runs.assembly.transforms.training import Training

__all__ = ["make_transforms"]

_BY_FIELDS = (domains, rollouts, corpus, drawn, spans, alignment, selection)
"""Asked for by fields and terms of a step, in this order; each has a `make` of a training, or of none."""


def make_transforms(training: Training) -> list[Transform]:
    """Those that a step asks for, in the order in which they are applied; those of `batches` come last."""
    made = [one for module in _BY_FIELDS if (one := module.make(training)) is not None]
    for named in training.step.batches:
        module = import_module(f"{__name__}.{named.name}")
        made.append(module.make(training, named.settings))
    return made
