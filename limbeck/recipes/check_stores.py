"""Checks of steps that read or make a teacher store."""

from collections.abc import Iterator, Sequence

from limbeck.core.errors import Problem
from limbeck.recipes.asked import asked_beside, inner_signals
from limbeck.recipes.steps import Capture, Evaluate, Generate, Step, Train


def stores_of(step: Step) -> dict[str, str]:
    """The stores that a training reads: path inside the step -> a folder, or the out of a capture."""
    if not isinstance(step, Train) or step.teacher is None:
        return {}
    return {f"teacher.{path}": word for path, word in step.teacher.stores.items()}


def store_problems(step: Step, where: str, earlier: Sequence[Step]) -> Iterator[Problem]:
    """What is wrong with a step's stores, as far as the recipe alone shows it."""
    if isinstance(step, Generate | Capture | Evaluate) and step.teacher:
        for path, word in step.teacher.stores.items():
            yield Problem(
                f"{where}.teacher{f'.{path}' if step.teacher.ensemble else ''}",
                f"must be a model, got the store '{word}'; a store answers the rows that were "
                "captured, in training. Write teacher: {model: DIR_OR_ID}.",
            )
    stores = stores_of(step)
    if not isinstance(step, Train) or not stores:
        return
    for path, word in stores.items():
        yield from _reference_problems(step, where, path, word, earlier)
    word = next(iter(stores.values()))
    for asking in asked_beside(step):
        yield Problem(
            f"{where}.{asking}",
            f"asks the teacher while training, and the store '{word}' knows only the rows that were "
            "captured. Give the step a model as its teacher.",
        )
    for place, term in enumerate(step.objective):
        inner = inner_signals(term)
        if inner:
            yield Problem(
                f"{where}.objective.{place}",
                f"objective {term.name} reads {inner}, and a store keeps distributions alone. "
                "Give the step a model as its teacher.",
            )


def _reference_problems(
    step: Train, where: str, path: str, word: str, earlier: Sequence[Step]
) -> Iterator[Problem]:
    same = next((one for one in earlier if one.out == word), None)
    if same is not None and not isinstance(same, Capture):
        yield Problem(
            f"{where}.{path}",
            f"must be a store, got '{word}', which is made by the step `{same.kind}`.",
        )
    if isinstance(same, Capture) and same.rows != step.rows:
        yield Problem(
            f"{where}.rows",
            f"must be the rows of the store '{word}', {same.rows}, got {step.rows}. Capture these rows.",
        )
