"""One party's part of a step: its answers, counts, weights, backward passes, clipping, update."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from limbeck.core.batch import Batch
from limbeck.core.errors import NotFiniteError, RowError
from limbeck.core.outputs import Outputs
from limbeck.core.term import value_at
from limbeck.engine.balance import gradient_magnitude, last_layer, weight_metrics
from limbeck.engine.checkpoint import load_schedule_states, schedule_states
from limbeck.engine.optimizer import make_optimizer, make_scheduler
from limbeck.engine.party import Learner, Party
from limbeck.engine.reached import Reached
from limbeck.engine.summed import summed_in_step

_NAMED_ROWS = 8


@dataclass(frozen=True)
class Step:
    """What the parties of one optimizer step have in common.

    Attributes:
        window: this rank's micro-batches.
        number: of the step, counted from 0.
        total: steps of the run.
    """

    window: Sequence[Batch]
    number: int
    total: int


class PartyState:
    """A party with its optimizer, and what its last step came to.

    Args:
        party: what is trained, on what.
        accelerator: of the run.
        autocast: the precision that steps are computed in.
        add_up: sums a tensor over all ranks.
        total_steps: of the run.

    Attributes:
        metrics: `loss`, the mean of each term and `weight_<term>` of balanced ones, over all ranks; of its
            last turn, empty before the first.
        grad_norm: before clipping.
        learning_rate: of the last update.
    """

    def __init__(
        self,
        party: Party,
        accelerator: Accelerator,
        autocast: Callable[[], AbstractContextManager[object]],
        add_up: Callable[[Tensor], Tensor],
        *,
        total_steps: int,
    ) -> None:
        self.party, self.metrics = party, dict[str, float]()
        self.grad_norm, self.learning_rate = 0.0, 0.0
        self._accelerator, self._autocast, self._add_up = accelerator, autocast, add_up
        self._limit = party.settings.max_grad_norm or float("inf")
        if party.settings.gradient_checkpointing:
            # The other way loses gradients below frozen embeddings (LoRA) and breaks on several ranks.
            options = {"use_reentrant": False}
            party.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)  # type: ignore[operator]
        if party.balance is not None:
            last_layer(party.reader)  # refuses what cannot be balanced
        party.model.train()
        self._learner = learner = Learner(party, ranks=accelerator.num_processes)
        trainable = [term.trainable for term in party.criterion.terms if term.trainable is not None]
        learner.trainable.to(accelerator.device)
        self._optimizer = make_optimizer(party.model, party.settings, trainable)
        turns = sum(party.turn(step) for step in range(total_steps))
        self._scheduler: LambdaLR = make_scheduler(self._optimizer, party.settings, max(1, turns))
        self._reached = Reached(learner.trained, self._add_up) if accelerator.num_processes > 1 else None
        self._modules: list[nn.Module] = [one.module for one in trainable]
        apart = {parameter for module in self._modules for parameter in module.parameters()}
        self._own = [parameter for parameter in learner.parameters() if parameter not in apart]
        # Checkpoints know the optimizer's wrapper; steps go without, which looks for packages in each.
        self._wrapped, _ = accelerator.prepare(learner, self._optimizer)

    def learn(self, step: Step) -> None:
        """Gradients of the whole window, scaled and clipped; the update is still to be made.

        The teacher is asked about one micro-batch at a time, unless its answers to all of them are read
        first (`Party.answers_first`).

        Raises:
            RowError: nothing is to be learnt in the whole step.
            NotFiniteError: the loss or the norm of the gradients is not.
        """
        held = [self._ask(batch) for batch in step.window] if self.party.answers_first else None
        moment = self._moment(step, held or [None] * len(step.window))
        self._optimizer.zero_grad(set_to_none=True)
        losses, means = [], torch.zeros(len(self.party.criterion.terms), device=moment["counts"].device)
        for place, batch in enumerate(step.window):
            answer = self._ask(batch) if held is None else held.pop(0)
            loss, parts = self._backward(batch, answer, moment, is_last=place == len(step.window) - 1)
            losses.append(loss)
            means += parts
            del answer  # before the next one is asked for
        if self._reached is not None:
            self._reached.take_back_others()
        self.grad_norm = float(self._clip(step))
        self._keep_metrics(losses, means, moment["weights"])
        self._refuse_unless_finite(step, losses)

    def update(self) -> None:
        """Take the optimizer step."""
        self.learning_rate = float(self._scheduler.get_last_lr()[0])
        self._optimizer.step()
        self._scheduler.step()

    @property
    def loss(self) -> float:
        """Of its last turn; NaN before the first."""
        return self.metrics.get("loss", math.nan)

    def report(self) -> dict[str, float]:
        """Loss, terms, norm and learning rate of the last step, by name."""
        return {**self.metrics, "grad_norm": self.grad_norm, "learning_rate": self.learning_rate}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps beside weights, moments and random numbers."""
        return {
            "metrics": self.metrics,
            "scheduler": self._scheduler.state_dict(),
            "schedules": schedule_states(self.party.criterion.terms),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.metrics = dict(state["metrics"])
        self._scheduler.load_state_dict(state["scheduler"])
        load_schedule_states(self.party.criterion.terms, state["schedules"])

    def _ask(self, batch: Batch) -> Outputs | None:
        if self.party.answer is None:
            return None
        with torch.no_grad(), self._autocast():
            return self.party.answer(batch)

    def _moment(self, step: Step, answers: Sequence[Outputs | None]) -> dict[str, Any]:
        """What the criterion is told of the step: its units over all ranks, the weights of its terms."""
        criterion = self.party.criterion
        asked = zip(step.window, answers, strict=True)
        counts = self._add_up(torch.stack([criterion.counts(*one) for one in asked]).sum(0))
        teaches = [not term.regularises for term in criterion.terms]
        if not bool((counts.sum(dim=1) > 0)[teaches].any()):
            raise RowError(
                f"step {step.number + 1} must have something to learn from, got no target in "
                f"{_named(step.window)}."
            )
        moment: dict[str, Any] = {"counts": counts, "step": step.number, "total_steps": step.total}
        learner, around = self._learner, (self._autocast, self._add_up)
        weights = None
        if self.party.balance is not None:
            weights = gradient_magnitude(learner, step.window, answers, *around, **moment)
        ranks = self._accelerator.num_processes
        sums = summed_in_step(learner, step.window, *around, ranks=ranks)
        return {**moment, "weights": weights, "sums": sums}

    def _backward(
        self, batch: Batch, answer: Outputs | None, moment: dict[str, Any], *, is_last: bool
    ) -> tuple[Tensor, Tensor]:
        """Add the gradients of one micro-batch; ranks add up theirs at the last one."""
        with nullcontext() if is_last else self._accelerator.no_sync(self._wrapped):
            with self._autocast():
                loss, parts = self._wrapped(batch, answer, **moment)
            # Ranks average their gradients; the parts of the loss add up.
            loss.backward(torch.full_like(loss, self._accelerator.num_processes))
        return loss.detach(), parts

    def _clip(self, step: Step) -> Any:
        """The norm before; what terms learn is scaled, and clipped apart."""
        for term in self.party.criterion.terms:
            if term.trainable is not None:
                scale = value_at(term.trainable.gradient_scale, step.number, step.total)
                for parameter in term.trainable.module.parameters():
                    if parameter.grad is not None:
                        parameter.grad.mul_(scale)
        for module in self._modules:
            self._accelerator.clip_grad_norm_(module.parameters(), self._limit)
        return self._accelerator.clip_grad_norm_(self._own, self._limit)

    def _keep_metrics(self, losses: Sequence[Tensor], means: Tensor, weights: Sequence[float] | None) -> None:
        stacked = torch.stack(list(losses))
        reduced = self._add_up(torch.cat([stacked.sum()[None], means.to(stacked.dtype)])).tolist()
        names = [term.name for term in self.party.criterion.terms]
        self.metrics = dict(zip(["loss", *names], reduced, strict=True))
        self.metrics |= weight_metrics(self.party, weights)

    def _refuse_unless_finite(self, step: Step, losses: Sequence[Tensor]) -> None:
        what, value = "loss", self.metrics["loss"]
        if math.isfinite(value):
            what, value = "gradient", self.grad_norm
        if math.isfinite(value):
            return
        window = step.window
        bad = [batch for batch, loss in zip(window, losses, strict=True) if not torch.isfinite(loss)]
        raise NotFiniteError(
            f"the {what} of {self.party.name} in step {step.number + 1} must be finite, got {value}; "
            f"{_named(bad or window)}. "
            "The update was not made. Look at these rows, lower learning_rate, or check the models' weights."
        )


def _named(window: Sequence[Batch]) -> str:
    ids = [row for batch in window for entry in batch.row_ids for row in entry]
    shown = ", ".join(ids[:_NAMED_ROWS]) + (
        f" and {len(ids) - _NAMED_ROWS} more" if len(ids) > _NAMED_ROWS else ""
    )
    return f"rows {shown}"
