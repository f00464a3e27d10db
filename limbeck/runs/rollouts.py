"""Rollouts of a train step: who writes, from which prompts, and what terms need of it."""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from limbeck.core.batch import Batch, Source
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.models import ModelKind
from limbeck.core.outputs import Needs, Outputs
from limbeck.core.reader import Reader
from limbeck.core.rollouts import Replay, RolloutSettings
from limbeck.core.seeds import derived_seed
from limbeck.core.signals import POINTWISE
from limbeck.inference.request import TokenIds
from limbeck.recipes.steps import Train
from limbeck.rollouts import Rollouts, Writers
from limbeck.rollouts.prepare import corpus_reader
from limbeck.rollouts.written import prompt_length
from limbeck.runs import ranks
from limbeck.schedules.scheduled import Curve, scheduled
from limbeck.teachers import LocalTeacher, OwnViewTeacher

_DISTRIBUTION = Needs(distribution=True)


def make_rollouts(
    step: Train,
    *,
    student: Any,
    reader: Reader,
    teacher: LocalTeacher | OwnViewTeacher | None,
    tokenizer: Any,
    source: Source,
    corpus: Source | None,
    folder: Path,
) -> Rollouts | None:
    """The engine's preparation for a train step with rollouts; None without.

    With `packing`, the models of the step must keep the rows of a pack apart.
    """
    settings = step.rollouts
    if settings is None:
        return None
    fresh = (settings.replay or Replay()).fresh
    shares = {"student": settings.student, "teacher": settings.teacher, "fresh": fresh}
    writers = Writers(
        student=student,
        ask_student=lambda batch: read_at_rest(student, reader, batch),
        # One that reads another format only judges: the plan refuses to let it write.
        teacher=teacher.model if isinstance(teacher, LocalTeacher) else None,
        ask_teacher=None if teacher is None else lambda batch: teacher.answer(batch, _DISTRIBUTION),
        # What ends the teacher's answers ends the student's: behind it the teacher has nothing to say.
        ids=TokenIds.of(tokenizer, student, *([teacher.model] if isinstance(teacher, LocalTeacher) else [])),
        vocabulary=reader.vocabulary or len(tokenizer),
    )
    state = ranks.state()
    return Rollouts(
        settings,
        shares={name: scheduled(value) for name, value in shares.items()},
        writers=writers,
        folder=folder / "rollouts",
        seed=step.seed,
        needs_scores=any(term.is_judged for term in step.objective),
        prompts=source,
        # Other objectives read an attention mask, which packs have not.
        packed=step.packing and all(set(term.signals) <= POINTWISE for term in step.objective),
        corpus=None
        if corpus is None
        else corpus_reader(corpus, derived_seed(step.seed, "corpus", state.process_index)),
        rank=(state.process_index, state.num_processes),
    )


@torch.no_grad()
def read_at_rest(model: Any, reader: Reader, batch: Batch) -> Outputs:
    """What a model says of a batch without dropout; its modes stay as they were."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        return reader.read(batch.inputs, _DISTRIBUTION)
    finally:
        for module, mode in modes:
            module.training = mode


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


def check_rollouts(step: Train, kind: ModelKind, rendered: Dataset, *positions: int | None) -> None:
    """Refuse what writes or is written for, with a model that cannot, and rollouts that leave a context.

    Args:
        step: any training.
        kind: of its student.
        rendered: its rows.
        positions: of the contexts of student and teachers; None: no end is known.

    Raises:
        ConfigError: the student does not write, or the longest prompt and `max_new_tokens` do not fit.
    """
    for name, given in (("rollouts", step.rollouts), ("watch", step.watch)):
        if given is not None and kind != "causal":
            raise ConfigError(Problem(name, f"needs a causal student, got {kind}. Leave it out."))
    least = min((known for known in positions if known), default=None)
    if step.rollouts is None or least is None:
        return
    _check_room("rollouts", step.rollouts.max_new_tokens, rendered, step.rollouts.prompt_tokens, least)


def check_watched_answers(step: Train, rendered: Dataset, positions: int | None) -> None:
    """Refuse a watch on the student's own answers that leave its context; `rendered` are the rows watched.

    Raises:
        ConfigError: the longest prompt and the watch's `max_new_tokens` do not fit.
    """
    watch = step.watch
    if watch is None or positions is None or not watch.distances or watch.written_by != "student":
        return
    prompt_tokens = step.rollouts.prompt_tokens if step.rollouts else PROMPT_TOKENS
    _check_room("watch", watch.max_new_tokens, rendered, prompt_tokens, positions)


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
