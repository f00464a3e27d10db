"""What a kind of model draws anew for each step: which tokens are hidden, and the like."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from limbeck.core.batch import Batch
from limbeck.core.transform import Transform
from limbeck.recipes.steps import Train
from limbeck.rows.text_kind import TextKind, text_kind
from limbeck.runs.assembly.transforms.training import Training


@dataclass(frozen=True)
class Drawn(Transform):
    """Draws the inputs and targets of batches by the step; student and teacher read the same ones.

    Attributes:
        kind: that draws.
        tokenizer: the student's.
        step: with the kind's settings.
    """

    kind: TextKind
    tokenizer: Any
    step: Train

    def __call__(self, window: Sequence[Batch], step: int, total_steps: int) -> list[Batch]:
        """The micro-batches as they are drawn in this step."""
        return [self.kind.drawn(batch, self.tokenizer, self.step, at=step) for batch in window]


def make(training: Training) -> Drawn | None:
    """The draws of the student's kind, if it makes any."""
    kind = text_kind(training.rendering.model_kind)
    return Drawn(kind, training.tokenizer, training.step) if kind.draws else None
