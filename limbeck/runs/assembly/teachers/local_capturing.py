"""A model as a teacher that is captured: in this process, a batch of rows at a time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from limbeck.core.batch import Batch
from limbeck.core.decoder_start import decoder_start
from limbeck.core.errors import ModelError, Problem
from limbeck.core.kinds import KindName, kind_named, kinds_that
from limbeck.core.models import model_fingerprint, read_config
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.outputs import Outputs
from limbeck.recipes.steps import Capture
from limbeck.rows.source import PaddedSource
from limbeck.runs.assembly.stores import predicted_bytes
from limbeck.runs.checking.model_infos import check_positions, kind_used
from limbeck.runs.checking.planned import PlannedStep, read_bytes, read_seconds
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext
from limbeck.runs.steps.look import Look, Survey
from limbeck.signals.capture import Local
from limbeck.signals.filling import Asked
from limbeck.teachers import LocalTeacher


def look(at: Look, step: Capture) -> tuple[KindName, Any] | None:
    """Refuse a teacher that gives no tokens."""
    teacher = at.info(step.teacher.word, "teacher.model")
    if teacher is None:
        return None
    kind = kind_used(step.model_kind, teacher)
    if not kind_named(kind).storable:
        allowed = kinds_that("storable")
        raise ModelError(Problem("teacher.model", f"must be {allowed} to be captured, got {kind}."))
    return kind, at.known.tokenizer(teacher)


def check_rows(at: Look, step: Capture, rendered: Any) -> None:
    """Refuse rows that are too long for it."""
    check_positions(rendered, at.info(step.teacher.word, "teacher.model"))


def plan(step: Capture, seen: Survey, rates: Rates, planned: PlannedStep) -> PlannedStep:
    """It reads every row once."""
    teacher = seen.models.get(step.teacher.word)
    positions = seen.positions.get(planned.place, 0)
    stored = 0
    if teacher is not None and positions:
        stored = predicted_bytes(step.payload, positions, vocabulary=teacher.vocabulary, width=teacher.width)
    return replace(
        planned,
        teacher_parameters=(teacher.parameters if teacher else 0) or None,
        memory=read_bytes([step.teacher.word], seen),
        disk=stored,
        seconds=read_seconds(teacher, planned.tokens or 0, step.max_length, rates),
    )


def open_captured(step: Capture, work: StepContext) -> "CapturedModel":
    """The model of a step."""
    return CapturedModel(step, work)


@dataclass(frozen=True)
class CapturedModel:
    """A model that is asked in this process.

    Attributes:
        step: that captures it.
        work: where it is found.
    """

    step: Capture
    work: StepContext

    in_every_rank = True

    @cached_property
    def kind(self) -> KindName:
        """What it is used as."""
        return self.work.kind(self.step.model_kind, self.step.teacher.word)

    @cached_property
    def tokenizer(self) -> Any:
        """That lies with it."""
        return self.work.load_tokenizer(self.step.teacher.word)

    @property
    def decoder_start(self) -> int | None:
        """Of an encoder-decoder model."""
        return decoder_start(self._config, self.tokenizer)

    @property
    def weights(self) -> str:
        """Fingerprint of all its files."""
        return model_fingerprint(self._place)

    @property
    def vocabulary(self) -> int:
        """Columns of its head; of top-k, without its padding, which is no outcome."""
        columns = int(self._config.get_text_config().vocab_size)
        return self._spoken or columns

    @contextmanager
    def asking(self, source: PaddedSource) -> Iterator[Asked]:
        """The model, loaded, in batches of the step's size."""
        work, step = self.work, self.step
        teacher = LocalTeacher(work.load_model(step.teacher.word, self.kind), self._spoken).to(work.device)

        def answer(batch: Batch) -> Outputs:
            with torch.autocast(work.device.type, torch.bfloat16, enabled=step.bf16):
                return teacher.answer(batch, DISTRIBUTION)

        yield Local(
            step.payload,
            source.lengths,
            batch_of=lambda rows: source.batch(rows).to(work.device),
            answer=answer,
            batch_tokens=step.batch_tokens,
        )

    def prepare(self, asked: Asked) -> None:
        """Nothing."""

    def origin(self) -> Mapping[str, Any]:
        """Nothing: the identity says which weights answered."""
        return {}

    def notes(self) -> Sequence[str]:
        """None."""
        return ()

    @property
    def _spoken(self) -> int | None:
        # Padding of the head is no outcome; stored whole heads are cut when they are read.
        if self.step.payload.hidden is not None:
            return None
        columns = int(self._config.get_text_config().vocab_size)
        return min(columns, 1 + max(self.tokenizer.get_vocab().values()))

    @cached_property
    def _place(self) -> str:
        return self.work.model_place(self.step.teacher.word)

    @cached_property
    def _config(self) -> Any:
        return read_config(self._place)
