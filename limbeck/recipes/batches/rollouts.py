"""Rollouts in a train step: what goes with them, and what of them asks a teacher."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from limbeck.core.errors import Problem
from limbeck.core.rollouts import SOURCES, RolloutSettings
from limbeck.recipes.batches.batch_transform import BatchTransform
from limbeck.recipes.teachers.capabilities import BESIDE, NEW_ROWS, TEXT, Ask
from limbeck.recipes.terms import schedule_problems

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


class Rollouts(RolloutSettings, BatchTransform):
    """Sequences written while training, in the place of the data's or beside them."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Who wrote a sequence."""
        return SOURCES

    @property
    def shares(self) -> dict[str, Any]:
        """The shares that may be schedules, by their path."""
        found = {"student": self.student, "teacher": self.teacher}
        return found if self.replay is None else found | {"replay.fresh": self.replay.fresh}

    @property
    def teacher_writes(self) -> bool:
        """Whether a teacher writes, or helps the student to."""
        return bool(self.teacher != 0 or self.guide_share or self.corrections)

    def is_judged(self, step: "Train") -> bool:
        """Whether a teacher judges what is written."""
        return self.advantages is not None or any(term.is_judged for term in step.objective)

    def asks(self, step: "Train", where: str) -> Iterator[Ask]:
        """Answers to what is written; to write or to judge."""
        yield Ask(where, NEW_ROWS, "asks about rows that are written while training")
        if self.teacher_writes:
            yield Ask(where, TEXT, "lets the teacher write")
        elif self.is_judged(step):
            yield Ask(where, BESIDE, "lets the teacher judge what is written")

    def needs_teacher(self, step: "Train") -> bool:
        """To write or to judge."""
        return self.teacher_writes or self.is_judged(step)

    def problems(self, step: "Train", where: str) -> Iterator[Problem]:
        """What does not go with it in a step."""
        yield from super().problems(step, where)
        for name, value in self.shares.items():
            yield from (Problem(f"{where}.{name}", problem) for problem in schedule_problems(value))
        if self.needs_teacher(step) and step.teacher is None:
            yield Problem(where, "lets a teacher write or judge: give the step a teacher.")
        if step.task != "default":
            yield Problem(where, f"goes with task: default, got {step.task}.")
        if self.sampling_temperature == 0 and any(term.is_judged for term in step.objective):
            yield Problem(
                f"{where}.sampling_temperature",
                "must be above 0 where sampled tokens are judged, got 0: a greedy completion was not drawn. "
                "Set it to 1, as in the papers.",
            )
