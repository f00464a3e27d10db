"""Teachers that are captured: what a `capture` step asks of a form whose scores a store can keep."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from limbeck.core.kinds import KindName
from limbeck.recipes.steps import Capture
from limbeck.rows.source import PaddedSource
from limbeck.runs.checking.planned import PlannedStep
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext
from limbeck.runs.steps.look import Look, Survey
from limbeck.signals.filling import Asked


class CapturedTeacher(Protocol):
    """A teacher that is found, and loaded or reached when it is asked."""

    @property
    def kind(self) -> KindName:
        """What it is used as."""

    @property
    def tokenizer(self) -> Any:
        """With which it reads rows."""

    @property
    def decoder_start(self) -> int | None:
        """What the decoder of an encoder-decoder model starts from."""

    @property
    def weights(self) -> str:
        """Fingerprint of what answers."""

    @property
    def vocabulary(self) -> int:
        """Ids that the store keeps lie below it."""

    @property
    def in_every_rank(self) -> bool:
        """Whether each process asks one of its own; otherwise the first asks alone."""

    def asking(self, source: PaddedSource) -> AbstractContextManager[Asked]:
        """The teacher at work on these rows; it is let go of at the end."""

    def prepare(self, asked: Asked) -> None:
        """What it does once, before the first shard that is missing."""

    def origin(self) -> Mapping[str, Any]:
        """Where answers came from, for the store's manifest; empty of a model in this process."""

    def notes(self) -> Sequence[str]:
        """What is to be said of it when the store is whole."""


class Capturing(Protocol):
    """How a form of teacher is captured: a module of this folder."""

    def look(self, at: Look, step: Capture) -> tuple[KindName, Any] | None:
        """Refuse what could not be kept; as what, and by which tokenizer, rows are read, if that is known."""

    def check_rows(self, at: Look, step: Capture, rendered: Any) -> None:
        """Refuse rows that it could not read."""

    def plan(self, step: Capture, seen: Survey, rates: Rates, planned: PlannedStep) -> PlannedStep:
        """The step with what the teacher adds: its size, memory, disk, time."""

    def open_captured(self, step: Capture, work: StepContext) -> CapturedTeacher:
        """The teacher, which loads what it needs when it is asked first."""
