"""What a teacher is put together for, and what every form of teacher gives once its place is known."""

from dataclasses import dataclass
from typing import Any, Protocol

from datasets import Dataset

from limbeck.core.kinds import KindName, kind_named
from limbeck.recipes.steps import Train
from limbeck.rows.rendering import Rendering
from limbeck.runs.assembly.views import OwnView, Reading
from limbeck.runs.steps.context import StepContext
from limbeck.teachers import OwnViewTeacher
from limbeck.teachers.protocol import Teacher


class Opened(Protocol):
    """A teacher whose tokens are known and whose weights are not loaded yet."""

    @property
    def shared(self) -> int | None:
        """Token ids that it shares with the student; None where there are none to share (class scores)."""

    def answering(self, vocabulary: int | None) -> Teacher:
        """Who answers the batches of the training, over so many token ids."""


@dataclass(frozen=True)
class Taught:
    """A training that a teacher is opened for.

    Attributes:
        step: the training.
        work: where models and stores are found.
        student: the model that learns.
        tokenizer: the student's.
        kind: what student and teacher are used as.
        label_names: classes of a classifier.
        rows: rendered, as the student reads them.
        rendering: how they were rendered.
    """

    step: Train
    work: StepContext
    student: Any
    tokenizer: Any
    kind: KindName
    label_names: tuple[str, ...]
    rows: Dataset
    rendering: Rendering

    @property
    def size(self) -> int:
        """Rows of the student's embedding."""
        return int(self.student.config.get_text_config().vocab_size)

    def own_view(self, view: str, tokenizer: Any, length: int | None) -> OwnView | None:
        """How a teacher with this tokenizer reads the rows, where that is not how the student does."""
        if view == "student" or not kind_named(self.kind).decoder_only:
            return None
        rows = self.work.rows(self.step.rows)
        reading = Reading(self.step.rows, rows, self.tokenizer, self.rendering, self.work.renderer)
        return reading.own_view(tokenizer, length)

    def viewing(self, teacher: Teacher, view: OwnView | None, vocabulary: int | None) -> Teacher:
        """The teacher, which is asked about its own view of the rows if it has one."""
        if view is None:
            return teacher
        assert vocabulary is not None, "only causal models read formats"
        rollouts = self.step.rollouts
        rows = view.viewed if rollouts is None else view.prompted(rollouts.prompt_tokens)
        return OwnViewTeacher(teacher, rows, ends=view.ends, vocabulary=vocabulary)
