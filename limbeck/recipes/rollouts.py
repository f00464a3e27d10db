"""Rollouts in a train step: what goes with them, and what of them asks a teacher."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from limbeck.core.errors import Problem
from limbeck.core.rollouts import RolloutSettings
from limbeck.recipes.terms import schedule_problems

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


def shares(rollouts: RolloutSettings) -> dict[str, Any]:
    """The shares that may be schedules, by their path."""
    found = {"student": rollouts.student, "teacher": rollouts.teacher}
    return found if rollouts.replay is None else found | {"replay.fresh": rollouts.replay.fresh}


def teacher_writes(rollouts: RolloutSettings) -> bool:
    """Whether a teacher writes, or helps the student to."""
    return bool(rollouts.teacher != 0 or rollouts.guide_share or rollouts.corrections)


def rollout_problems(rollouts: RolloutSettings, step: "Train") -> Iterator[Problem]:
    """What does not go with rollouts in a step."""
    for name, value in shares(rollouts).items():
        yield from (Problem(name, problem) for problem in schedule_problems(value))
    if step.needs_teacher and step.teacher is None:
        yield Problem("", "lets a teacher write or judge: give the step a teacher.")
    if step.task != "default":
        yield Problem("", f"goes with task: default, got {step.task}.")
    if rollouts.sampling_temperature == 0 and any(term.is_judged for term in step.objective):
        yield Problem(
            "sampling_temperature",
            "must be above 0 where sampled tokens are judged, got 0: a greedy completion was not drawn. "
            "Set it to 1, as in the papers.",
        )
