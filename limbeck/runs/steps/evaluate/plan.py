"""`evaluate` in numbers."""

import math

from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Evaluate, Load
from limbeck.runs.checking.planned import (
    PlannedStep,
    notes_of_step,
    read_bytes,
    read_seconds,
    taught_by,
)
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.look import Survey

_BESIDE = 2.0  # seconds an evaluated model costs beside that: loading, timing, intervals


def plan(step: Evaluate, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    words = [step.model, step.baseline, *taught_by(step)]
    shapes = [seen.models[word] for word in words if word is not None and word in seen.models]
    rows = seen.rows.get(step.rows)
    _, tokens = seen.entries.get(place, (0, 0))
    tokens = min(tokens, step.max_positions or tokens)
    turns = math.ceil(step.prompts / step.batch_size) * step.max_new_tokens
    turns = turns if "generation" in step.metrics else 0
    seconds = sum(
        read_seconds(shape, tokens, step.max_length, rates) + rates.calls(shape, turns) for shape in shapes
    )
    return PlannedStep(
        place,
        step.kind,
        step.out,
        f"{', '.join(step.metrics)} on {rows_in_words(step, seen.recipe)}",
        rows=None if rows is None else len(rows),
        tokens=tokens or None,
        memory=read_bytes([word for word in words if word is not None], seen),
        seconds=seconds + _BESIDE * len(shapes),
        notes=notes_of_step(place, seen),
    )


def rows_in_words(step: Evaluate, recipe: Recipe) -> str:
    """The rows of an evaluation: their reference, or the data itself where no part of it was held out."""
    load = Load.that_made(step.rows, recipe.steps)
    return step.rows if load is None or load.heldout else f"all rows of {load.path}"
