"""The learning rate that a model of a size usually takes, and a word where another is far below it."""

import math

from limbeck.recipes.steps import Train
from limbeck.runs.models import Shape

# Peak rates by parameters: small models need large ones. Measured for the smallest size (docs/log.md); the
# others are those of GPT-2, Pythia and Llama at these sizes.
_RATES = ((3e6, 3e-3), (3e7, 1e-3), (3e8, 3e-4), (1e9, 1e-4), (math.inf, 2e-5))
_SMALL = 3e7  # parameters, below which a training that starts too low does not get near its best
_FAR = 8  # times below the usual rate


def usual_rate(parameters: int) -> float:
    """Peak learning rate for a model of so many parameters."""
    return next(rate for size, rate in _RATES if parameters < size)


def said_of_rate(step: Train, student: Shape) -> str | None:
    """A sentence where a small student's rate is far below the usual one; None elsewhere.

    Adapters, preferences and encoders have rates of their own.
    """
    if student.kind not in ("causal", "seq2seq") or step.task == "preference" or step.lora_r:
        return None
    usual = usual_rate(student.parameters)
    if student.parameters >= _SMALL or step.learning_rate * _FAR >= usual:
        return None
    return (
        f"learning_rate {step.learning_rate:g} is low for {student.parameters:,} parameters, which usually "
        f"take about {usual:g}: the student may end far from its best."
    )
