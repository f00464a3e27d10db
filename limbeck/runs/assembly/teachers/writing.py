"""Teachers that write: what a `generate` step asks of a form of teacher that gives text."""

from collections.abc import Callable, Mapping, Sequence
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
        content: as the teacher reads it: token ids, text; None where it is made when it is asked.
        sample: which completion of it this is to be, from 0.
    """

    row_id: str
    place: int
    content: Any
    sample: int = 0


@dataclass(frozen=True)
class Answer:
    """What it wrote.

    Attributes:
        text: the answer; of plain text, which is gone on with, prompt and answer. Empty: nothing.
        tokens: that were written.
        stopped: whether it ended by itself, and was not cut.
        reasoning: thoughts that came apart from it.
        tool_calls: that it makes, as turns have them.
    """

    text: str
    tokens: int
    stopped: bool
    reasoning: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return not self.text.strip() and not self.tool_calls


@dataclass(frozen=True)
class Missing:
    """No answer, and why: it is left out of the rows, never written into one.

    Attributes:
        reason: one word that is counted by.
        message: what was said.
        key: of the request.
    """

    reason: str
    message: str
    key: str


class TextTeacher(Protocol):
    """A teacher at work."""

    @property
    def per_part(self) -> int:
        """Answers that it writes between two saves."""

    def prompts(self) -> list[Prompt]:
        """What it is to answer, one of each row that leaves it room."""

    def write(
        self, prompts: Sequence[Prompt], *, seed: int, progress: Callable[[float], None]
    ) -> Sequence[Answer | Missing]:
        """One answer each, the same for the same seed; `progress` is told the share that is done."""


class Writing(Protocol):
    """How a form of teacher writes: a module of this folder."""

    def look(self, at: Look, step: Generate) -> None:
        """Refuse, before anything is spent, what could not be written."""

    def plan(self, step: Generate, seen: Survey, rates: Rates, planned: PlannedStep) -> PlannedStep:
        """The step with what the teacher adds: its size, memory, time."""

    def open_writer(self, step: Generate, work: StepContext, rows: Dataset) -> TextTeacher:
        """The teacher, which loads what it needs when it writes first."""
