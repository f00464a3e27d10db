"""A cheap look at everything a recipe reads, before anything is spent; all problems in one go.

Nothing is trained, generated or loaded onto a device: data is read and rendered, models are known
by their configuration, objectives are tried on a few random numbers.
"""

from collections.abc import Callable
from pathlib import Path

from limbeck.recipes.model import Recipe
from limbeck.runs.checking.model_files import check_models, notes_on_models
from limbeck.runs.checking.model_infos import ModelInfos
from limbeck.runs.steps import module_of
from limbeck.runs.steps.look import Look, Survey


def survey(
    recipe: Recipe, tell: Callable[[str], None] = lambda text: None, *, run: Path | None = None
) -> Survey:
    """Look at every step, in order; problems are in the result, not raised.

    Args:
        recipe: to look at.
        tell: told what is looked at.
        run: the run folder, beside which answers may be kept.
    """
    seen = Survey(recipe, run=run)
    outs = [step.out for step in recipe.steps if step.makes == "model"]
    known = ModelInfos(outs, seen.problems, seen.models)
    for place, step in enumerate(recipe.steps):
        tell(f"looking at {step.kind} {step.out}")
        at = Look(place, step, seen, known)
        with at.at():
            module_of(step).look(at, step)
        check_models(step, at.where, at.earlier, known)
        at.note(*notes_on_models(step, at.earlier, known))
    return seen
