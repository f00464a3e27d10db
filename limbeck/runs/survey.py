"""A cheap look at everything a recipe reads, before anything is spent; all problems in one go.

Nothing is trained, generated or loaded onto a device: data is read and rendered, models are known
by their configuration, objectives are tried on a few random numbers.
"""

from collections.abc import Callable, Mapping
from typing import Any

from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Build, Capture, Evaluate, Generate, Load, Step, Train
from limbeck.recipes.steps.compare import Compare
from limbeck.runs.known import KnownModels
from limbeck.runs.looks import build, capture, evaluate, generate, load, train
from limbeck.runs.looks.look import Look, Survey
from limbeck.runs.model_files import check_lora, check_models, notes_on_models
from limbeck.runs.readings import notes_on_reading
from limbeck.runs.routers import check_routers

__all__ = ["Survey", "survey"]

_LOOKS: Mapping[type[Step], Callable[[Look, Any], None]] = {
    Load: load.look,
    Build: build.look,
    Generate: generate.look,
    Capture: capture.look,
    Train: train.look,
    Evaluate: evaluate.look,
    Compare: lambda at, step: None,  # reads results alone; between the steps it is checked with the recipe
}


def survey(recipe: Recipe, tell: Callable[[str], None] = lambda text: None) -> Survey:
    """Look at every step, in order; problems are in the result, not raised."""
    seen = Survey(recipe)
    outs = [step.out for step in recipe.steps if isinstance(step, Build | Train)]
    known = KnownModels(outs, seen.problems, seen.models)
    for place, step in enumerate(recipe.steps):
        tell(f"looking at {step.kind} {step.out}")
        at = Look(place, step, seen, known)
        with at.at():
            _LOOKS[type(step)](at, step)
        check_models(step, at.where, at.earlier, known)
        at.note(*notes_on_models(step, at.earlier, known), *check_lora(step, at.where, known))
        at.note(*check_routers(step, at.where, known))
        at.note(*notes_on_reading(step, at.earlier))
    return seen
