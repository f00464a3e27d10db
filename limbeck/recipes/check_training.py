"""Checks inside a train step: terms, rollouts, watch and domains go together."""

from collections.abc import Iterator
from typing import Any

from limbeck.core.catalogue import catalogue
from limbeck.core.errors import Problem
from limbeck.core.rollouts import SOURCES
from limbeck.core.signals import ANSWERED, BATCH_SIGNALS
from limbeck.recipes.check_alignment import alignment_problems, reads_foreign
from limbeck.recipes.selection import Selection
from limbeck.recipes.steps import Train
from limbeck.recipes.terms import Term, schedule_problems

GROUPS = {"default": (), "two_task": ("label", "rationale"), "preference": ("chosen", "rejected")}
"""Groups that terms can learn `on`, by `task`."""

IMPORTANCE = "importance"
"""A weight of units that rollouts give: student over the policy that wrote, token by token."""

UNCERTAIN = ("uncertain", "certain")
"""Groups of rows that `selection` makes."""

UNCERTAINTIES = ("uncertainty", "certainty")
"""Weights of units that follow from the student's own class scores."""


def training_problems(step: Train, where: str) -> Iterator[Problem]:
    """What does not go together in a train step."""
    for place, term in enumerate(step.objective):
        yield from _term_problems(step, term, f"{where}.objective.{place}")
    if step.rollouts is not None:
        yield from _rollout_problems(step, f"{where}.rollouts")
    if reads_foreign(step):
        yield from alignment_problems(step, where)
    if step.selection is not None and (step.task != "default" or step.rollouts is not None):
        yield Problem(f"{where}.selection", "goes with task: default and without rollouts.")
    if step.selection is not None:
        yield from _selection_problems(step, step.selection, where)
    if step.selection is not None and step.teacher is None:
        yield Problem(f"{where}.selection", "says whom to ask: give the step a teacher.")
    if step.corpus is not None and step.rollouts is None:
        yield Problem(f"{where}.corpus", "goes with rollouts: without, load the rows together.")
    if step.balance is not None:
        yield from _balance_problems(step, where)
    yield from _watching_problems(step, where)
    if step.domains is not None and (step.watch is None or step.watch.perplexities_by != step.domains.column):
        yield Problem(
            f"{where}.domains",
            f"needs to know where the student lags: add watch: {{rows: rows.validation, perplexities_by: "
            f"{step.domains.column}}}.",
        )
    if step.domains is not None and step.rollouts is not None:
        yield Problem(f"{where}.domains", "cannot go with rollouts yet: leave one of them out.")
    if step.watch is not None and step.teacher is None and step.watch.perplexities_by is not None:
        yield Problem(f"{where}.watch.perplexities_by", "compares with a teacher: give the step a teacher.")


def _selection_problems(step: Train, selection: Selection, where: str) -> Iterator[Problem]:
    rows = step.per_device_train_batch_size * step.gradient_accumulation_steps
    if int(selection.share * rows) < 1:
        yield Problem(
            f"{where}.selection.share",
            f"must choose at least one of the {rows} rows of a step, got {selection.share:g}, which rounds "
            "down to none. Take a larger share or per_device_train_batch_size.",
        )
    if selection.other is not None:
        return
    for place, term in enumerate(step.objective):
        if term.on != UNCERTAIN[0] and any(signal.startswith("teacher_") for signal in term.signals):
            yield Problem(
                f"{where}.objective.{place}.on",
                f"must be {UNCERTAIN[0]}: nobody answers the other rows, got {term.on}. Or give selection "
                "another teacher: other.",
            )


def needs_teacher_beside(step: Train) -> bool:
    """Whether a teacher is needed though no objective reads it."""
    rollouts = step.rollouts
    writes = rollouts is not None and (rollouts.teacher != 0 or rollouts.guide_share or rollouts.corrections)
    judges = rollouts is not None and (
        rollouts.advantages is not None or any(map(reads_numbers, step.objective))
    )
    return bool(writes or judges or (step.watch is not None and step.watch.perplexities_by is not None))


def groups_of(step: Train) -> tuple[str, ...]:
    """Words that `on` may say in this step."""
    if step.selection is not None:
        return UNCERTAIN
    if reads_foreign(step):
        return ANSWERED
    return SOURCES if step.rollouts is not None else GROUPS[step.task]


def reads_numbers(term: Term) -> bool:
    """Whether a term needs sampled tokens to be judged."""
    return bool(set(term.signals) & set(BATCH_SIGNALS)) or term.weighted_by == IMPORTANCE


def _term_problems(step: Train, term: Term, where: str) -> Iterator[Problem]:
    groups = groups_of(step)
    if term.on is not None and term.on not in groups:
        allowed = f"must be one of {', '.join(groups)}" if groups else "needs `task` or `rollouts`"
        yield Problem(f"{where}.on", f"{allowed}, got on: {term.on} with task: {step.task}.")
    numbers = set(term.signals) & set(BATCH_SIGNALS)
    judged = step.rollouts is not None and step.rollouts.advantages is not None
    if numbers and not judged:
        yield Problem(
            where,
            f"{term.name} reads {' and '.join(sorted(numbers))}: give the step rollouts with advantages.",
        )
    if "student_space" in term.signals and step.packing:
        yield Problem(where, f"{term.name} aligns the tokens of single rows: give the step packing: false.")
    if term.weighted_by == IMPORTANCE and step.rollouts is None:
        yield Problem(f"{where}.weighted_by", "importance compares with who wrote: give the step rollouts.")
    if term.weighted_by is not None and term.weighted_by not in (IMPORTANCE, *UNCERTAINTIES):
        allowed = ", ".join((IMPORTANCE, *UNCERTAINTIES))
        yield Problem(f"{where}.weighted_by", f"must be one of {allowed}, got '{term.weighted_by}'.")
    if step.rollouts is not None and term.on != "student" and (numbers or term.weighted_by == IMPORTANCE):
        yield Problem(f"{where}.on", f"must be student: only the student's tokens are judged, got {term.on}.")


def _balance_problems(step: Train, where: str) -> Iterator[Problem]:
    if len(step.objective) < 2:
        yield Problem(f"{where}.balance", f"needs two terms or more, got {step.objective[0].name} alone.")
    for place, term in enumerate(step.objective):
        if isinstance(term.weight, dict):
            yield Problem(
                f"{where}.objective.{place}.weight",
                f"must be no schedule with balance: {step.balance}, which reads none. Leave one out.",
            )


def _watching_problems(step: Train, where: str) -> Iterator[Problem]:
    """Feedback rules must watch what the step measures."""
    watch = step.watch
    names = (f"{term.name}_{term.on}" if term.on else term.name for term in step.objective)
    measured = {"loss", *names}
    if watch is not None:
        measured |= {*watch.distances, *(("validation_loss",) if watch.loss else ())}
    for inner, value, own in _schedules(step):
        entry = catalogue("schedules").get(str(value.get("schedule")))
        watched = None if entry is None else value.get("watch", entry.keywords.get("watch"))
        if watched is None or (watched == "own" and own) or watched in measured:
            continue
        if watched == "validation_loss":
            instead = "add watch: {rows: rows.validation}"
        else:
            instead = f"take one of {', '.join(sorted(measured))}"
        yield Problem(f"{where}.{inner}", f"watches {watched}, which this step does not measure: {instead}.")


def _schedules(step: Train) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Where a schedule is, what it says, and whether it has a term of its own."""
    values: list[tuple[str, Any, bool]] = []
    for place, term in enumerate(step.objective):
        named = {"weight": term.weight, **term.options}
        if term.learnt is not None:
            named["learnt.gradient_scale"] = term.learnt.gradient_scale
        values += [(f"objective.{place}.{name}", value, True) for name, value in named.items()]
    if step.rollouts is not None:
        shares = {"student": step.rollouts.student, "teacher": step.rollouts.teacher}
        if step.rollouts.replay is not None:
            shares["replay.fresh"] = step.rollouts.replay.fresh
        values += [(f"rollouts.{name}", value, False) for name, value in shares.items()]
    yield from ((where, value, own) for where, value, own in values if isinstance(value, dict))


def _rollout_problems(step: Train, where: str) -> Iterator[Problem]:
    rollouts = step.rollouts
    assert rollouts is not None
    shares = {"student": rollouts.student, "teacher": rollouts.teacher}
    if rollouts.replay is not None:
        shares["replay.fresh"] = rollouts.replay.fresh
    for name, value in shares.items():
        yield from (Problem(f"{where}.{name}", problem) for problem in schedule_problems(value))
    if needs_teacher_beside(step) and step.teacher is None:
        yield Problem(where, "lets a teacher write or judge: give the step a teacher.")
    if step.task != "default":
        yield Problem(where, f"goes with task: default, got {step.task}.")
    if rollouts.sampling_temperature == 0 and any(map(reads_numbers, step.objective)):
        yield Problem(
            f"{where}.sampling_temperature",
            "must be above 0 where sampled tokens are judged, got 0: a greedy completion was not drawn. "
            "Set it to 1, as in the papers.",
        )
