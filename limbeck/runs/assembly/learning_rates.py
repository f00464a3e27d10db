"""The peak learning rate that `auto` stands for: by what is trained, and how large it is."""

from limbeck.core.kinds import KindName, kind_named
from limbeck.core.training import AUTO
from limbeck.recipes.steps import Train

_ADAPTERS = 10  # times the rate of the whole model: Schulman et al. 2025, "LoRA Without Regret"
_HIGHEST = 1e-2  # of adapters, as measured (docs/log.md)
_SMALL = 3e7  # parameters, below which a training that starts too low does not get near its best
_FAR = 8  # times below the usual rate


def peak_rate(step: Train, kind: KindName, parameters: int) -> float:
    """The step's learning rate; where it says `auto`, the usual one.

    Args:
        step: that trains.
        kind: of model.
        parameters: of the student, adapters left out.
    """
    return usual_rate(step, kind, parameters) if step.learning_rate == AUTO else float(step.learning_rate)


def usual_rate(step: Train, kind: KindName, parameters: int) -> float:
    """What `auto` stands for in a step."""
    usual = kind_named(kind).usual_rate(parameters)
    return min(_ADAPTERS * usual, _HIGHEST) if step.lora_r else usual


def note_of_rate(step: Train, kind: KindName, parameters: int) -> str | None:
    """What `auto` comes to, or that a small student's rate is far below the usual one; None elsewhere.

    Preferences, adapters and encoders that are given a number have it for reasons of their own.
    """
    usual = usual_rate(step, kind, parameters)
    if step.learning_rate == AUTO:
        what = "adapters of a model" if step.lora_r else "a model"
        return f"learning_rate auto: {usual:g}, usual for {what} of {parameters:,} parameters."
    has_its_own = not kind_named(kind).writes or step.task == "preference" or step.lora_r
    if has_its_own or parameters >= _SMALL or float(step.learning_rate) * _FAR >= usual:
        return None
    return (
        f"learning_rate {step.learning_rate:g} is low for {parameters:,} parameters, which usually "
        f"take about {usual:g}: the student may end far from its best. `auto` takes it."
    )
