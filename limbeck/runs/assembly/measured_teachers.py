"""Whom evaluations compare with where the teacher is a store: the model that was captured, if it is there.

Held-out rows are in no store. A recipe that is given a store as its teacher measures beside the model that
the store names; where that model is not there, what needs a teacher is left out, and the plan says so.
"""

from collections.abc import Sequence
from pathlib import Path

from limbeck.assets import asset_names
from limbeck.core.errors import StoreError
from limbeck.core.measures import needs_teacher
from limbeck.core.model_words import model_word
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Evaluate, Step, Train
from limbeck.recipes.teachers import ModelTeacher, Teacher


def with_measured_teachers(recipe: Recipe) -> Recipe:
    """The recipe, whose evaluations name models in the place of stores, or no teacher."""
    return recipe.model_copy(update={"steps": tuple(_measuring(step) for step in recipe.steps)})


def said_of_store(step: Evaluate, earlier: Sequence[Step]) -> list[str]:
    """Beside whom the student of a store is measured, in a sentence; nothing where no store taught it."""
    trained = Train.that_made(step.model, earlier)
    if trained is None or trained.teacher is None or not trained.teacher.stores:
        return []
    captured = {word: _captured(word) for word in trained.teacher.stores.values()}
    known = ", ".join(f"{word} is of {model}" for word, model in captured.items() if model)
    if step.teacher is not None:
        return [f"Beside the model that was captured: {known}."] if known else []
    return [
        f"Without a teacher, so without fidelity: {known or 'the store'}, which is not here. Set "
        "steps.evaluation.teacher=DIR_OR_ID to measure beside it."
    ]


def _measuring(step: Step) -> Step:
    if not isinstance(step, Evaluate) or step.teacher is None or not step.teacher.stores:
        return step
    teacher = _live(step.teacher)
    if teacher is not None:
        return step.model_copy(update={"teacher": teacher})
    metrics = tuple(metric for metric in step.metrics if not needs_teacher(metric))
    return step.model_copy(update={"teacher": None, "metrics": metrics})


def _live(teacher: Teacher) -> Teacher | None:
    """The teacher with models in the place of its stores; None where one is not there."""
    models = {word: _captured(word) for word in teacher.stores.values()}
    here = {word: ModelTeacher(model=model) for word, model in models.items() if model and _is_here(model)}
    return teacher.with_others(here) if len(here) == len(models) else None


def _captured(store: str) -> str | None:
    """The model that a store is of, or the copy that a served one was compared with.

    None where the store cannot be read, which is said where it is trained from, or a server alone has it.
    """
    from limbeck.signals.manifest import Manifest  # pyarrow takes a quarter of a second to import

    try:
        manifest = Manifest.read(Path(store).expanduser())
        return manifest.origin.get("local") if manifest.origin else manifest.identity.teacher
    except StoreError:
        return None


def _is_here(word: str) -> bool:
    """Whether a model can be read without asking anybody: a folder, an asset, or in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    place = model_word(word).place
    if place.removeprefix("assets/") in asset_names() or (Path(place).expanduser() / "config.json").is_file():
        return True
    is_id = place.count("/") == 1 and not place.startswith((".", "/", "~"))
    return is_id and isinstance(try_to_load_from_cache(place, "config.json"), str)
