"""A train step with its models and rows, as far as what happens to its batches needs them."""

from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset

from limbeck.core.batch import Batch, Source
from limbeck.core.forward_model import ForwardModel
from limbeck.core.kinds import kind_named
from limbeck.core.needs import DISTRIBUTION, Needs
from limbeck.core.outputs import Outputs
from limbeck.recipes.steps import Train
from limbeck.rows.rendering import Rendering
from limbeck.runs.steps.context import StepContext
from limbeck.teachers import LocalTeacher, OwnViewTeacher
from limbeck.teachers.protocol import Teacher


@dataclass(frozen=True)
class Training:
    """What is put together for a train step before its batches.

    Attributes:
        step: with `packing` as the models allow it.
        work: where rows and models are found.
        student: the model that is trained.
        reader: of the student.
        teacher: whoever answers, or None.
        tokenizer: the student's.
        rendering: how rows were rendered.
        rendered: the rows.
        source: what the engine draws from.
    """

    step: Train
    work: StepContext
    student: Any
    reader: ForwardModel
    teacher: Teacher | None
    tokenizer: Any
    rendering: Rendering
    rendered: Dataset
    source: Source

    @property
    def live(self) -> LocalTeacher | OwnViewTeacher | None:
        """The teacher, where it answers any batch, not only rows that were seen before."""
        return self.teacher if isinstance(self.teacher, LocalTeacher | OwnViewTeacher) else None

    @property
    def vocabulary(self) -> int:
        """Token ids that the student can write."""
        return self.reader.vocabulary or len(self.tokenizer)

    @property
    def pad(self) -> int:
        """The id that fills rows up."""
        return int(self.tokenizer.pad_token_id)

    def ask_student(self, batch: Batch) -> Outputs:
        """The student's distribution, without dropout and gradients."""
        return read_at_rest(self.student, self.reader, batch)

    def model(self, word: str) -> LocalTeacher | OwnViewTeacher:
        """A model that the step names beside its teacher."""
        live, named = self.live, self.step.teacher
        if live is not None and named is not None and word == named.word:
            return live
        kind = self.rendering.model_kind
        model = self.work.load_model(word, kind, self.rendering.label_names, pad=self.pad)
        return LocalTeacher(model, None if kind_named(kind).has_classes else self.vocabulary).to(
            self.work.device
        )

    def render(self, reference: str, rendering: Rendering) -> Dataset:
        """Rows that the step names beside its own, as the student reads them."""
        return self.work.renderer.render(reference, self.work.rows(reference), self.tokenizer, rendering)


@torch.no_grad()
def read_at_rest(model: Any, reader: ForwardModel, batch: Batch, needs: Needs = DISTRIBUTION) -> Outputs:
    """What a model says of a batch without dropout; its modes stay as they were."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        return reader.read(batch.inputs, needs)
    finally:
        for module, mode in modes:
            module.training = mode
