"""One rule between steps and teachers: what a step asks is among what its teacher gives, or it is refused."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from limbeck.core.catalogue import catalogue
from limbeck.core.errors import Problem
from limbeck.recipes.references import references
from limbeck.recipes.teachers import Teacher
from limbeck.recipes.teachers.capabilities import BESIDE, DISTRIBUTION, INNER, Ask, listed

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


def unanswered(teacher: Teacher, asks: Iterable[Ask]) -> Iterator[Problem]:
    """What a teacher is asked and does not give."""
    for ask in asks:
        if ask.what not in teacher.gives():
            yield Problem(
                ask.path,
                f"{ask.why}, and {teacher.said} gives {listed(teacher.gives())}. Give the step a model as "
                "its teacher.",
            )


def asked_problems(teacher: Teacher, what: str, why: str) -> Iterator[Problem]:
    """What is wrong with the teacher of a step that trains nothing, and asks one thing of it."""
    yield from unanswered(teacher, [Ask("teacher", what, why)])
    yield from teacher.training_only()


def taught_problems(step: "Train") -> Iterator[Problem]:
    """What a training asks of its teacher, and it cannot give."""
    teacher = step.teacher
    if teacher is None:
        for place, term in enumerate(step.objective):
            if term.of_teacher:
                yield Problem(
                    f"objective.{place}",
                    f"objective {term.name} reads {' and '.join(term.of_teacher)}: give the step a teacher.",
                )
        return
    yield from unanswered(teacher, _asks(step))
    yield from _group_problems(teacher, step)
    if step.corpus is not None and any(one.names.what == "column" for one in references(teacher)):
        yield Problem("teacher.route", "must be likelihood with a corpus, whose rows name no teacher.")
    if not step.reads_teacher and not step.needs_teacher:
        yield _unread(step)


def _asks(step: "Train") -> Iterator[Ask]:
    """All that a training asks of its teacher."""
    for place, term in enumerate(step.objective):
        path, reads = f"objective.{place}", f"objective {term.name} reads {' and '.join(term.of_teacher)}"
        if term.inner:
            yield Ask(path, INNER, reads)
        elif term.of_teacher:
            yield Ask(path, DISTRIBUTION, reads)
    for where, transform in step.transforms.items():
        yield from transform.asks(step, where)
    if step.validation is not None and step.validation.perplexities_by is not None:
        yield Ask("validation.perplexities_by", BESIDE, "asks the teacher beside the training")


def _group_problems(teacher: Teacher, step: "Train") -> Iterator[Problem]:
    """Members of an ensemble that are `on` no group, and groups that nobody answers."""
    yield from teacher.group_problems(step.groups)
    for place, term in enumerate(step.objective):
        left = teacher.silent_on([term.on] if term.on else step.groups) if term.of_teacher else []
        if left:
            yield Problem(
                f"objective.{place}",
                f"objective {term.name} reads a teacher for {' and '.join(left)}, which no member is `on`. "
                "Add a member, or learn `on` less.",
            )


def _unread(step: "Train") -> Problem:
    readers: Sequence[str] = [
        name
        for name, entry in catalogue("objectives").items()
        if any(word.startswith("teacher_") for word in entry.positional)
    ]
    return Problem(
        "teacher",
        f"is read by no objective (got {', '.join(term.name for term in step.objective)}): leave the "
        f"teacher out, or add one that reads it: {', '.join(readers)}.",
    )
