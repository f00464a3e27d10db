"""One party's part of a step: counts, weights, backward passes, clipping, update."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
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
from limbeck.engine.optimizer import make_optimizer, make_scheduler
from limbeck.engine.party import Learner, Party
from limbeck.engine.reached import Reached
from limbeck.engine.routing import routed_in_step

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


class Seat:
    """A party with what the engine gives it.

    Args:
        party: what is trained, on what.
        accelerator: of the run.
        autocast: the precision that steps are computed in.
        max_grad_norm: of the run; 0 does not clip.
        total_steps: of the run.
    """

    def __init__(
        self,
        party: Party,
        accelerator: Accelerator,
        autocast: Callable[[], AbstractContextManager[object]],
        *,
        max_grad_norm: float,
        total_steps: int,
    ) -> None:
        self.party, self.metrics = party, dict[str, float]()
        self.grad_norm, self.learning_rate = 0.0, 0.0
        self._accelerator, self._autocast = accelerator, autocast
        self._limit = max_grad_norm or float("inf")
        if party.settings.gradient_checkpointing:
            # The other way loses gradients below frozen embeddings (LoRA) and breaks on several ranks.
            options = {"use_reentrant": False}
            party.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)  # type: ignore[operator]
        if party.balance is not None:
            last_layer(party.reader)  # refuses what cannot be balanced
        party.model.train()
        learner = Learner(party)
        learnt = [term.learnt for term in party.criterion.terms if term.learnt is not None]
        learner.learnt.to(accelerator.device)
        optimizer = make_optimizer(party.model, party.settings, learnt)
        self.scheduler: LambdaLR = make_scheduler(optimizer, party.settings, total_steps)
        self._reached = Reached(learner.trained, self._sum) if accelerator.num_processes > 1 else None
        self._modules: list[nn.Module] = [one.module for one in learnt]
        apart = {parameter for module in self._modules for parameter in module.parameters()}
        self._own = [parameter for parameter in learner.parameters() if parameter not in apart]
        self._learner, self._optimizer = accelerator.prepare(learner, optimizer)
        self._pass: _Pass | None = None

    @property
    def answers_first(self) -> bool:
        """Whether the whole window's answers are read before the first backward pass."""
        return self.party.balance is not None or self.party.criterion.teacher_needs.chunks

    def begin(self, step: Step, answers: Sequence[Outputs | None] | None) -> None:
        """Count the step's units over all ranks, weigh the terms, forget the last gradients.

        Args:
            step: that begins.
            answers: the teacher's, one a micro-batch, where they are asked for first.

        Raises:
            RowError: nothing is to be learnt in the whole step.
        """
        criterion = self.party.criterion
        held = [None] * len(step.window) if answers is None else answers
        asked = zip(step.window, held, strict=True)
        counts = self._sum(torch.stack([criterion.counts(*one) for one in asked]).sum(0))
        teaches = [not term.regularises for term in criterion.terms]
        if not bool((counts.sum(dim=1) > 0)[teaches].any()):
            raise RowError(
                f"step {step.number + 1} must have something to learn from, got no target in "
                f"{_named(step.window)}."
            )
        moment: Any = {"counts": counts, "step": step.number, "total_steps": step.total}
        learner, around = self._accelerator.unwrap_model(self._learner), (self._autocast, self._sum)
        weights = None
        if self.party.balance is not None:
            weights = gradient_magnitude(learner, step.window, held, *around, **moment)
        ranks = self._accelerator.num_processes
        moment["routed"] = routed_in_step(learner, step.window, *around, ranks=ranks)
        self._optimizer.zero_grad(set_to_none=True)
        means = torch.zeros(len(criterion.terms), device=counts.device)
        self._pass = _Pass(step, {"weights": weights, **moment}, means)

    def learn(self, batch: Batch, answer: Outputs | None) -> None:
        """Add the gradients of the next micro-batch; ranks add up theirs at the last one."""
        now = self._pass
        assert now is not None, "begin comes first"
        last = len(now.losses) == len(now.step.window) - 1
        with nullcontext() if last else self._accelerator.no_sync(self._learner):
            with self._autocast():
                loss, parts = self._learner(batch, answer, **now.moment)
            # Ranks average their gradients; the parts of the loss add up.
            self._accelerator.backward(loss * self._accelerator.num_processes)
        now.losses.append(loss.detach())
        now.means += parts

    def finish(self) -> None:
        """Scale and clip the gradients of the window, and refuse what is not finite.

        Raises:
            NotFiniteError: the loss or the norm of the gradients is not.
        """
        now = self._pass
        assert now is not None, "begin comes first"
        if self._reached is not None:
            self._reached.take_back_others()
        self._scale_learnt(now.step)
        for module in self._modules:
            self._accelerator.clip_grad_norm_(module.parameters(), self._limit)
        norm = self._accelerator.clip_grad_norm_(self._own, self._limit)
        self._keep_metrics(now)
        self.grad_norm = float(norm)
        self._refuse_unless_finite(now)
        self._pass = None

    def update(self) -> None:
        """Take the optimizer step."""
        self.learning_rate = float(self.scheduler.get_last_lr()[0])
        self._optimizer.step()
        self.scheduler.step()

    def _scale_learnt(self, step: Step) -> None:
        for term in self.party.criterion.terms:
            if term.learnt is not None:
                scale = value_at(term.learnt.gradient_scale, step.number, step.total)
                for parameter in term.learnt.module.parameters():
                    if parameter.grad is not None:
                        parameter.grad.mul_(scale)

    def _keep_metrics(self, now: "_Pass") -> None:
        losses = torch.stack(now.losses)
        reduced = self._sum(torch.cat([losses.sum()[None], now.means.to(losses.dtype)])).tolist()
        names = [term.name for term in self.party.criterion.terms]
        self.metrics = dict(zip(["loss", *names], reduced, strict=True))
        self.metrics |= weight_metrics(self.party, now.moment["weights"])

    def _refuse_unless_finite(self, now: "_Pass") -> None:
        what, value = "loss", self.metrics["loss"]
        if math.isfinite(value):
            what, value = "gradient", self.grad_norm
        if math.isfinite(value):
            return
        window = now.step.window
        bad = [batch for batch, loss in zip(window, now.losses, strict=True) if not torch.isfinite(loss)]
        raise NotFiniteError(
            f"the {what} of {self.party.name} in step {now.step.number + 1} must be finite, got {value}; "
            f"{_named(bad or window)}. "
            "The update was not made. Look at these rows, lower learning_rate, or check the models' weights."
        )

    def _sum(self, values: Tensor) -> Tensor:
        reduced: Tensor = self._accelerator.reduce(values.to(self._accelerator.device), reduction="sum")
        return reduced


@dataclass
class _Pass:
    """A party's way through the window of a step."""

    step: Step
    moment: dict[str, Any]
    means: Tensor
    losses: list[Tensor] = field(default_factory=list)


def _named(window: Sequence[Batch]) -> str:
    ids = [row for batch in window for entry in batch.row_ids for row in entry]
    shown = ", ".join(ids[:_NAMED_ROWS]) + (
        f" and {len(ids) - _NAMED_ROWS} more" if len(ids) > _NAMED_ROWS else ""
    )
    return f"rows {shown}"
