"""What can be known of a train step's rollouts before they are written: how much, and whether it fits."""

from typing import Any

from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.kinds import KindName, kind_named, kinds_that
from limbeck.core.rollouts import RolloutSettings
from limbeck.recipes.steps import Train
from limbeck.rollouts.rollout import prompt_length
from limbeck.schedules.scheduled import Curve, scheduled


def written_by(settings: RolloutSettings, *, steps: int, rows: int) -> dict[str, int]:
    """Tokens that student and teacher write at most in a training; shares that follow metrics count as 1.

    Args:
        settings: of the rollouts.
        steps: optimizer steps.
        rows: of one step, over all ranks.
    """
    student, teacher = (_mean(scheduled(share), steps) for share in (settings.student, settings.teacher))
    if settings.replay is not None:
        student *= _mean(scheduled(settings.replay.fresh), steps)
    student *= 1 + settings.corrections  # each may write nearly all of a completion again
    completions = steps * rows
    if settings.round is not None:
        in_round = -(-settings.round.prompts // rows)  # steps of one pass
        completions = rows * in_round * -(-steps // (in_round * settings.round.epochs))
    tokens = completions * settings.max_new_tokens
    return {"student": round(student * tokens), "teacher": round(teacher * tokens)}


def _mean(share: Any, steps: int) -> float:
    if isinstance(share, Curve):
        return sum(share.at(step, steps) for step in range(steps)) / steps
    return float(share) if isinstance(share, float | int) else 1.0


def check_rollouts(step: Train, kind: KindName, rendered: Dataset, *positions: int | None) -> None:
    """Refuse what writes or is written for, with a model that cannot, and rollouts that leave a context.

    Args:
        step: any training.
        kind: of its student.
        rendered: its rows.
        positions: of the contexts of student and teachers; None: no end is known.

    Raises:
        ConfigError: the student does not write, or the longest prompt and `max_new_tokens` do not fit.
    """
    for name, given in (("rollouts", step.rollouts), ("validation", step.validation)):
        if given is not None and not kind_named(kind).decoder_only:
            allowed = kinds_that("decoder_only")
            raise ConfigError(Problem(name, f"needs a {allowed} student, got {kind}. Leave it out."))
    least = min((known for known in positions if known), default=None)
    if step.rollouts is None or least is None:
        return
    _check_room("rollouts", step.rollouts.max_new_tokens, rendered, step.rollouts.prompt_tokens, least)


def check_validation_answers(step: Train, rendered: Dataset, positions: int | None) -> None:
    """Refuse a validation on the student's own answers that leave its context; `rendered` are its rows.

    Raises:
        ConfigError: the longest prompt and its `max_new_tokens` do not fit.
    """
    validation = step.validation
    if (
        validation is None
        or positions is None
        or not validation.distances
        or validation.written_by != "student"
    ):
        return
    prompt_tokens = step.rollouts.prompt_tokens if step.rollouts else PROMPT_TOKENS
    _check_room("validation", validation.max_new_tokens, rendered, prompt_tokens, positions)


def _check_room(where: str, new: int, rendered: Dataset, prompt_tokens: int, positions: int) -> None:
    longest = max((prompt_length(flags, prompt_tokens) for flags in rendered["is_target"]), default=0)
    room = positions - longest
    if room < new:
        raise ConfigError(
            Problem(
                f"{where}.max_new_tokens",
                f"must be at most {max(room, 0)}: prompts have up to {longest} tokens and the models "
                f"{positions} positions, got {new}. Shorten completions or prompts.",
            )
        )


PROMPT_TOKENS = 16
"""Of plain text rows, where no rollouts say how long a prompt is."""
