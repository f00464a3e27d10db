"""Teachers that write: what a `generate` step asks of a form of teacher that gives text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from datasets import Dataset

from limbeck.recipes.steps import Generate
from limbeck.runs.checking.planned import PlannedStep
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext
from limbeck.runs.steps.look import Look, Survey


@dataclass(frozen=True)
class Prompt:
    """What a teacher is to answer.

    Attributes:
        row_id: of the row it is from, or of a window of it.
        place: of that row in the data.
        content: as the teacher reads it: token ids, turns, text.
    """

    row_id: str
    place: int
    content: Any


@dataclass(frozen=True)
class Answer:
    """What it wrote.

    Attributes:
        text: the answer; of plain text, which is gone on with, prompt and answer. Empty: nothing.
        tokens: that were written.
        stopped: whether it ended by itself, and was not cut.
    """

    text: str
    tokens: int
    stopped: bool


class TextTeacher(Protocol):
    """A teacher at work."""

    def prompts(self) -> list[Prompt]:
        """What it is to answer, one of each row that leaves it room."""

    def write(
        self, prompts: Sequence[Prompt], *, seed: int, progress: Callable[[float], None]
    ) -> list[Answer]:
        """One answer each, the same for the same seed; `progress` is told the share that is done."""


class Writing(Protocol):
    """How a form of teacher writes: a module of this folder."""

    def look(self, at: Look, step: Generate) -> None:
        """Refuse, before anything is spent, what could not be written."""

    def plan(self, step: Generate, seen: Survey, rates: Rates, planned: PlannedStep) -> PlannedStep:
        """The step with what the teacher adds: its size, memory, time."""

    def open_writer(self, step: Generate, work: StepContext, rows: Dataset) -> TextTeacher:
        """The teacher, which loads what it needs when it writes first."""
