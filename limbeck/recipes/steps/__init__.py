"""One file a kind of step: its configuration, and what is wrong with it. This file is the list."""

from collections.abc import Mapping

from limbeck.recipes.steps.build import Build
from limbeck.recipes.steps.capture import Capture
from limbeck.recipes.steps.compare import Compare
from limbeck.recipes.steps.elicit import Elicit
from limbeck.recipes.steps.evaluate import Evaluate
from limbeck.recipes.steps.gate import Gate
from limbeck.recipes.steps.generate import Generate
from limbeck.recipes.steps.load import Load
from limbeck.recipes.steps.mix import Mix
from limbeck.recipes.steps.pair import Pair
from limbeck.recipes.steps.select import Select
from limbeck.recipes.steps.step import Step
from limbeck.recipes.steps.train import Train

STEPS: Mapping[str, type[Step]] = {
    step.kind: step
    for step in (Load, Build, Generate, Elicit, Gate, Pair, Mix, Select, Capture, Train, Evaluate, Compare)
}

__all__ = [
    "STEPS",
    "Build",
    "Capture",
    "Compare",
    "Elicit",
    "Evaluate",
    "Gate",
    "Generate",
    "Load",
    "Mix",
    "Pair",
    "Select",
    "Step",
    "Train",
]
