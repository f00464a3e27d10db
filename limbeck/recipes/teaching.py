"""What steps can ask of the teachers that a recipe gives them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from limbeck.core.catalogue import catalogue
from limbeck.core.errors import Problem
from limbeck.recipes.parts import Teacher
from limbeck.recipes.terms import Term

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


def asked_problems(teacher: Teacher) -> Iterator[Problem]:
    """What is wrong with the teacher of a step that trains nothing."""
    for path, word in teacher.stores.items():
        yield Problem(
            f"teacher.{path}" if teacher.ensemble else "teacher",
            f"must be a model, got the store '{word}'; a store answers the rows that were "
            "captured, in training. Write teacher: {model: DIR_OR_ID}.",
        )
    if teacher.noise:
        yield Problem(
            "teacher.noise", f"must be 0 outside of train steps, got {teacher.noise:g}. Leave it out here."
        )


def several_problems(teacher: Teacher | None, why: str, where: str = "teacher") -> Iterator[Problem]:
    """Refuse an ensemble where one model must answer."""
    if teacher is not None and teacher.ensemble:
        yield Problem(
            where,
            f"must be a single model, got an ensemble of {len(teacher.ensemble)}; {why}. Name one of them.",
        )


def group_problems(teacher: Teacher, groups: Sequence[str]) -> Iterator[Problem]:
    """Refuse members of an ensemble that are `on` no group of the rows."""
    for place, member in enumerate(teacher.ensemble):
        if member.on is not None and member.on not in groups:
            allowed = f"must be one of {', '.join(groups)}" if groups else "needs rows of several tasks"
            yield Problem(
                f"teacher.ensemble.{place}.on", f"{allowed}, got '{member.on}'. Leave it out for all."
            )


def taught_problems(step: "Train") -> Iterator[Problem]:
    """What a training asks of its teacher, and it cannot give."""
    teacher = step.teacher
    if teacher is not None and teacher.stores:
        yield from _stored_problems(step, next(iter(teacher.stores.values())))
    if teacher is not None and teacher.ensemble:
        yield from _ensemble_problems(step, teacher)
    if teacher is None:
        for place, term in enumerate(step.objective):
            if term.of_teacher:
                yield Problem(
                    f"objective.{place}",
                    f"objective {term.name} reads {' and '.join(term.of_teacher)}: give the step a teacher.",
                )
    elif not step.reads_teacher and not step.needs_teacher:
        readers = (
            name
            for name, entry in catalogue("objectives").items()
            if any(word.startswith("teacher_") for word in entry.positional)
        )
        yield Problem(
            "teacher",
            f"is read by no objective (got {', '.join(term.name for term in step.objective)}): leave the "
            f"teacher out, or add one that reads it: {', '.join(readers)}.",
        )


def _stored_problems(step: "Train", word: str) -> Iterator[Problem]:
    for field in step.asks_teacher:
        yield Problem(
            field,
            f"asks the teacher while training, and the store '{word}' knows only the rows that were "
            "captured. Give the step a model as its teacher.",
        )
    for place, term in enumerate(step.objective):
        if term.inner:
            yield Problem(
                f"objective.{place}",
                f"objective {term.name} reads {term.inner}, and a store keeps distributions alone. "
                "Give the step a model as its teacher.",
            )


def _ensemble_problems(step: "Train", teacher: Teacher) -> Iterator[Problem]:
    for field in step.asks_teacher:
        if field != "rollouts" or step.needs_teacher:
            yield Problem(
                field,
                "must have a single model as the teacher, which writes or judges beside the training, got an "
                f"ensemble of {len(teacher.ensemble)}. Name one of them.",
            )
    if teacher.route is not None and teacher.route.column and step.corpus is not None:
        yield Problem("teacher.route", "must be likelihood with a corpus, whose rows name no teacher.")
    for place, term in enumerate(step.objective):
        if term.inner:
            yield Problem(
                f"objective.{place}",
                f"objective {term.name} reads {term.inner}, of which there is no mean over models. "
                "Give the step a single teacher.",
            )
    yield from group_problems(teacher, step.groups)
    for place, term in enumerate(step.objective):
        left = _unanswered(teacher, term, step.groups)
        if left:
            yield Problem(
                f"objective.{place}",
                f"objective {term.name} reads a teacher for {' and '.join(left)}, which no member is `on`. "
                "Add a member, or learn `on` less.",
            )


def _unanswered(teacher: Teacher, term: Term, groups: Sequence[str]) -> list[str]:
    """Groups that a term learns from a teacher though no member with a weight answers them."""
    answered = {member.on for member in teacher.ensemble if member.weight}
    if None in answered or not term.of_teacher:
        return []
    return [name for name in ([term.on] if term.on else groups) if name not in answered]
