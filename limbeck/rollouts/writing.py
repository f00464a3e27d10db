"""Completions written one part after another, each kept in the journal."""

from collections.abc import Sequence
from dataclasses import replace

from limbeck.core.rollouts import RolloutSettings
from limbeck.core.seeds import derived_seed
from limbeck.rollouts.journal import Journal
from limbeck.rollouts.revise import revise
from limbeck.rollouts.rollout import Rollout
from limbeck.rollouts.writers import WriteOptions, Writers

_PART = 64  # completions between two saves


def write(
    writers: Writers,
    rows: Sequence[Rollout],
    source: str,
    settings: RolloutSettings,
    *,
    step: int,
    seed: int,
    journal: Journal,
    first_part: int = 0,
) -> list[Rollout]:
    """The rows with answers by `source`; what the journal has is not written again."""
    found: list[Rollout] = []
    synced = source == "teacher"
    for part, start in enumerate(range(0, len(rows), _PART), first_part):
        asked = rows[start : start + _PART]
        written = journal.read(step, part, asked)
        if written is None:
            if not synced:
                writers.student.sync(writers.trained)
                synced = True
            written = _part(writers, asked, source, settings, derived_seed(seed, "rollouts", step, part))
            journal.keep(step, part, written)
        found += written
    return found


def parts(rows: int) -> int:
    """Number of parts that so many rows are written in."""
    return -(-rows // _PART)


def _part(
    writers: Writers, rows: Sequence[Rollout], source: str, settings: RolloutSettings, seed: int
) -> list[Rollout]:
    by_teacher = source == "teacher"
    writer = writers.teacher if by_teacher else writers.student
    assert writer is not None
    prompts = [row.prompt(settings.prompt_tokens) for row in rows]
    options = WriteOptions(
        max_new_tokens=settings.max_new_tokens,
        sampling_temperature=settings.sampling_temperature,
        top_p=settings.top_p,
        guide_share=0.0 if by_teacher else settings.guide_share,
        seed=seed,
    )
    answers = zip(rows, prompts, writer.write(prompts, options), strict=True)
    written = [row.answered(prompt, ids, source) for row, prompt, ids in answers]
    for round_ in range(0 if by_teacher else settings.corrections):
        written = revise(
            written,
            [len(prompt) for prompt in prompts],
            writers=writers,
            room=settings.max_new_tokens,
            options=replace(options, seed=derived_seed(seed, "correction", round_)),
        )
    return written
