"""A party: a trainable role with its model, its terms and its optimizer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import Needs
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.core.training import TrainingSettings
from limbeck.engine.reached import with_all_behind


class Criterion(Protocol):
    """A sum of terms (`objectives.criterion.Criterion`)."""

    @property
    def terms(self) -> Sequence[Term]:
        """Its terms, in the order of its results."""

    @property
    def student_needs(self) -> Needs:
        """What the terms ask of the party."""

    @property
    def teacher_needs(self) -> Needs:
        """What the terms ask of the teacher."""

    def counts(self, batch: Batch, teacher: Outputs | None = None) -> Tensor:
        """[terms, 4] tokens, sequences, batches and units of its own that each term learns from."""

    @property
    def counts_answers(self) -> bool:
        """Whether a count is known only when the teacher has answered."""

    @property
    def summed_needs(self) -> Needs:
        """What is asked of the party to know `summed`; empty when no term needs it."""

    def summed(self, student: Outputs, batch: Batch) -> Mapping[str, Tensor]:
        """What a micro-batch adds to the sums over the whole step that signals read, by signal."""

    def __call__(
        self,
        student: Outputs,
        teacher: Outputs | None,
        batch: Batch,
        *,
        counts: Tensor,
        step: int,
        total_steps: int,
        weights: Sequence[float] | None = None,
        sums: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """[] the micro-batch's part of the loss, [terms] its part of each term's mean."""


Answer = Callable[[Batch], Outputs]
"""Asks a teacher about a micro-batch on the engine's device."""


def every_step(step: int) -> bool:
    """The turn of a party that learns in every step."""
    return True


@dataclass(frozen=True)
class Party:
    """A trainable role: the student, or a critic, router, gate beside it.

    Attributes:
        name: shown in logs, and in front of its metrics; the first party's loss is the loss of the run.
        model: what is trained.
        reader: reads the model's signals.
        criterion: what it is trained on.
        settings: its optimizer and clipping; batch sizes, length and precision are the first party's.
        answer: whom it asks, right before it reads a micro-batch itself; None: no term reads a teacher.
        turn: whether it learns in a given step.
        balance: what weighs its terms in the place of their own weights (`engine.balance`), if anything.
    """

    name: str
    model: nn.Module
    reader: ForwardModel
    criterion: Criterion
    settings: TrainingSettings
    answer: Answer | None = None
    turn: Callable[[int], bool] = every_step
    balance: Literal["gradient_magnitude"] | None = None

    @property
    def answers_first(self) -> bool:
        """Whether the whole window's answers are read before the first backward pass."""
        return self.balance is not None or self.criterion.counts_answers


class Learner(nn.Module):
    """Model, terms and what terms learn in one module: what is wrapped must hold the whole loss.

    Hidden states and head are read, and the objective computed, inside this forward; outside
    the wrapper, gradients of the ranks would not be synchronised.

    Args:
        party: whose freezing of parameters is final.
        ranks: that share its gradients.
    """

    def __init__(self, party: Party, *, ranks: int) -> None:
        super().__init__()
        self.model = party.model
        self.reader = party.reader
        self.criterion = party.criterion
        trainable = [(term.name, term.trainable) for term in party.criterion.terms]
        self.trainable = nn.ModuleDict({name: one.module for name, one in trainable if one is not None})
        self.trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.needs, self._shared = party.criterion.student_needs, ranks > 1

    def forward(self, batch: Batch, teacher: Outputs | None, **moment: Any) -> tuple[Tensor, Tensor]:
        """The party's part of the loss on one micro-batch, and of the means of its terms."""
        answer = self.reader.read(batch.inputs, self.needs)
        loss, means = self.criterion(answer, teacher, batch, **moment)
        if self._shared and torch.is_grad_enabled():
            loss = with_all_behind(loss, self.trained)
        return loss, means
