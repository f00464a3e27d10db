"""Which rows of a train step a teacher answers."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.recipes.batches.batch_transform import BatchTransform
from limbeck.recipes.teachers import Teacher
from limbeck.recipes.teachers.capabilities import BESIDE, Ask
from limbeck.recipes.teaching import unanswered

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train

UNCERTAIN = ("uncertain", "certain")
"""Groups of rows that `selection` makes."""


class Selection(BatchTransform):
    """Let the student's uncertainty say which rows the teacher answers (classifiers)."""

    by: Literal["entropy", "margin", "least_confidence", "random"] = "entropy"
    share: float = Field(
        default=0.5, gt=0, le=1, description="of the rows of a step, rounded down; most unsure"
    )
    other: Teacher | None = Field(default=None, description="answers the other rows; none: nobody does")

    @property
    def groups(self) -> tuple[str, ...]:
        """Those whom the teacher answers, and the others."""
        return UNCERTAIN

    def invalidates(self) -> Mapping[str, str]:
        """Rollouts."""
        return {"rollouts": "it chooses among rows of a class each"}

    def asks(self, step: "Train", where: str) -> Iterator[Ask]:
        """Answers to the rows that are chosen."""
        yield Ask(where, BESIDE, "asks the teacher beside the training")

    def problems(self, step: "Train", where: str) -> Iterator[Problem]:
        """What does not go with it in a step."""
        yield from super().problems(step, where)
        if step.task != "default":
            yield Problem(where, f"goes with task: default, got {step.task}.")
        rows = step.per_device_train_batch_size * step.gradient_accumulation_steps
        if int(self.share * rows) < 1:
            yield Problem(
                f"{where}.share",
                f"must choose at least one of the {rows} rows of a step, got {self.share:g}, which rounds "
                "down to none. Take a larger share or per_device_train_batch_size.",
            )
        for place, term in enumerate(step.objective) if self.other is None else ():
            if term.on != UNCERTAIN[0] and term.of_teacher:
                yield Problem(
                    f"objective.{place}.on",
                    f"must be {UNCERTAIN[0]}: nobody answers the other rows, got {term.on}. Or give "
                    "selection another teacher: other.",
                )
        if self.other is not None:
            ask = Ask(f"{where}.other", BESIDE, "answers the other rows while training")
            yield from unanswered(self.other, [ask])
        if step.teacher is None:
            yield Problem(where, "says whom to ask: give the step a teacher.")
