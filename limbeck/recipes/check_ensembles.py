"""Checks of steps with several teachers."""

from collections.abc import Iterator

from limbeck.core.errors import Problem
from limbeck.recipes.asked import asked_beside, inner_signals
from limbeck.recipes.check_training import groups_of, needs_teacher_beside
from limbeck.recipes.parts import Teacher
from limbeck.recipes.steps import Capture, Evaluate, Generate, Step, Train
from limbeck.recipes.terms import Term

_OF_STATES = "similarity"


def ensemble_problems(step: Step, where: str, measured_task: str) -> Iterator[Problem]:
    """What is wrong with a step's ensemble, as far as the recipe alone shows it."""
    other = step.selection.other if isinstance(step, Train) and step.selection is not None else None
    if other is not None and other.ensemble:
        yield _single(f"{where}.selection.other", other, "it answers the other rows alone")
    teacher = step.teacher if isinstance(step, Generate | Capture | Train | Evaluate) else None
    if teacher is None or not teacher.ensemble:
        return
    if isinstance(step, Generate):
        yield _single(f"{where}.teacher", teacher, "one model writes")
    elif isinstance(step, Capture):
        yield _single(f"{where}.teacher", teacher, "a store is of one model; stores can be an ensemble")
    elif isinstance(step, Evaluate):
        if _OF_STATES in step.metrics:
            yield _single(f"{where}.teacher", teacher, f"{_OF_STATES} compares hidden states")
        groups = ("label", "rationale") if measured_task == "two_task" else ()
        yield from _group_problems(teacher, groups, f"{where}.teacher")
    elif isinstance(step, Train):
        yield from _training_problems(step, teacher, where)


def _training_problems(step: Train, teacher: Teacher, where: str) -> Iterator[Problem]:
    for asking in asked_beside(step):
        if asking == "rollouts" and not needs_teacher_beside(step):
            continue
        yield Problem(
            f"{where}.{asking}",
            "must have a single model as the teacher, which writes or judges beside the training, got an "
            f"ensemble of {len(teacher.ensemble)}. Name one of them.",
        )
    if teacher.route is not None and teacher.route.column and step.corpus is not None:
        yield Problem(
            f"{where}.teacher.route", "must be likelihood with a corpus, whose rows name no teacher."
        )
    for place, term in enumerate(step.objective):
        inner = inner_signals(term)
        if inner:
            yield Problem(
                f"{where}.objective.{place}",
                f"objective {term.name} reads {inner}, of which there is no mean over models. "
                "Give the step a single teacher.",
            )
    groups = groups_of(step)
    yield from _group_problems(teacher, groups, f"{where}.teacher")
    for place, term in enumerate(step.objective):
        left = _unanswered(teacher, term, groups)
        if left:
            yield Problem(
                f"{where}.objective.{place}",
                f"objective {term.name} reads a teacher for {' and '.join(left)}, which no member is `on`. "
                "Add a member, or learn `on` less.",
            )


def _group_problems(teacher: Teacher, groups: tuple[str, ...], where: str) -> Iterator[Problem]:
    for place, member in enumerate(teacher.ensemble):
        if member.on is not None and member.on not in groups:
            allowed = f"must be one of {', '.join(groups)}" if groups else "needs rows of several tasks"
            yield Problem(
                f"{where}.ensemble.{place}.on", f"{allowed}, got '{member.on}'. Leave it out for all."
            )


def _unanswered(teacher: Teacher, term: Term, groups: tuple[str, ...]) -> list[str]:
    """Groups that a term learns from a teacher though no member with a weight answers them."""
    answered = {member.on for member in teacher.ensemble if member.weight}
    if None in answered or not any(name.startswith("teacher_") for name in term.signals):
        return []
    return [name for name in ([term.on] if term.on else groups) if name not in answered]


def _single(where: str, teacher: Teacher, why: str) -> Problem:
    return Problem(
        where, f"must be a single model, got an ensemble of {len(teacher.ensemble)}; {why}. Name one of them."
    )
