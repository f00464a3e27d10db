"""A sum of terms over one micro-batch, each divided by its own count over the whole step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.needs import NOTHING, Needs
from limbeck.core.outputs import Outputs
from limbeck.core.signals import BATCH_SIGNALS, SIGNALS, Head, Moment, Side, TopK
from limbeck.core.term import Term
from limbeck.objectives.fused import PointwiseTerm, linear_terms
from limbeck.objectives.gradients import signals_of, trainable_values
from limbeck.objectives.means import (
    counts,
    declared_unit,
    divisor,
    has_units,
    mean_part,
    target_weights,
)
from limbeck.objectives.per_teacher import per_teacher
from limbeck.objectives.units.token import TOKEN


@dataclass(frozen=True)
class _Share:
    """A term in one step: its weight, hyperparameters, the counts it is divided by, sums of the step."""

    term: Term
    place: int
    weight: float
    hyperparameters: Mapping[str, Any]
    counts: Tensor
    sums: Mapping[str, Tensor]

    @property
    def pointwise(self) -> PointwiseTerm:
        """For the fused path."""
        return PointwiseTerm(self.term.objective, self.hyperparameters, self.trainable)

    @property
    def trainable(self) -> nn.Module | None:
        """What gives the trainable hyperparameters."""
        return None if self.term.trainable is None else self.term.trainable.module

    @property
    def reads(self) -> tuple[str, ...]:
        """Signals of the objective and of what gives its trainable hyperparameters."""
        return _reads(self.term)

    def given(
        self, student: Outputs, teacher: Outputs | None, batch: Batch, chosen: Tensor | None = None
    ) -> dict[str, Any]:
        """Its signals on a micro-batch, by name; at `chosen` positions alone."""
        tokens = divisor(self.counts, TOKEN)
        moment = Moment(student, teacher, batch, self.term.layers, chosen, tokens, self.sums)
        return {name: SIGNALS[name].take(moment) for name in self.reads}

    def values(self, given: Mapping[str, Any]) -> Tensor:
        """Of its objective on these signals, neither masked nor reduced."""
        options = {**self.hyperparameters, **trainable_values(self.trainable, given)}
        values: Tensor = self.term.objective(*(given[name] for name in self.term.signals), **options)
        return values


class Criterion:
    """Terms bound to what student and teacher answer; knows nothing of models, loops or devices.

    The mean of a term runs over the units its objective returns: tokens for [B, T], sequences
    for [B], batches for [], or others that it declares (`objectives.units`). Counts come from
    outside (`counts`, summed by the engine over all micro-batches and ranks of a step), so that
    micro-batching cannot change the loss.

    Args:
        terms: with different names.
        fused: compute pointwise terms from hidden states and heads, without dense logits.

    Attributes:
        student_needs: what the terms ask of the student.
        teacher_needs: what they ask of the teacher; empty when no term reads a teacher.
        summed_needs: what is asked of the student to know `summed` of a micro-batch; empty when no term
            reads a sum over the step.
    """

    def __init__(self, terms: Sequence[Term], *, fused: bool = True) -> None:
        names = [term.name for term in terms]
        if len(set(names)) < len(names):
            raise ConfigError(f"terms must have different names, got {', '.join(names)}.")
        self.terms = tuple(terms)
        self.fused = fused
        summed = {name: SIGNALS[name].summed for term in terms for name in _reads(term)}
        self._summed = {name: add for name, add in summed.items() if add is not None}
        self.student_needs, self.teacher_needs = self._needs("student"), self._needs("teacher")
        self.summed_needs = NOTHING.union(*(SIGNALS[name].needs("student", None) for name in self._summed))

    def counts(self, batch: Batch, teacher: Outputs | None = None) -> Tensor:
        """Units each term learns from in this micro-batch: [terms, 4] tokens, sequences, batches, its own."""
        return torch.stack([counts(batch, term, teacher) for term in self.terms])

    @property
    def counts_answers(self) -> bool:
        """Whether a count is known only when the teacher has answered."""
        units = (declared_unit(term.objective) for term in self.terms)
        return any(unit.counts_answers for unit in units if unit is not None)

    def summed(self, student: Outputs, batch: Batch) -> dict[str, Tensor]:
        """What a micro-batch adds to the sums over a whole step that signals read, by signal.

        Args:
            student: its answer to `summed_needs`.
            batch: that it read.
        """
        return {name: add(student, batch) for name, add in self._summed.items()}

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
        """The terms on one micro-batch.

        Args:
            student: its answer, with gradients.
            teacher: its answer, or None when `teacher_needs` is empty.
            batch: aligned targets and groups.
            counts: [terms, 4] as `counts`, summed over the optimizer step.
            step: optimizer step, for schedules.
            total_steps: of the run, for schedules.
            weights: of the terms, in the place of their own; 0 skips a term, and its mean reads 0.
            sums: as `summed`, added up over the optimizer step; None: this micro-batch is the step.

        Returns:
            [] this micro-batch's part of the loss (the parts of a step add up to it), and
            [terms] its part of each term's mean, without the weight, detached.
        """
        if sums is None:
            sums = self.summed(student, batch)
        shares = [
            _Share(
                term,
                place,
                term.weight_at(step, total_steps) if weights is None else weights[place],
                term.hyperparameters_at(step, total_steps),
                counts[place],
                sums,
            )
            for place, term in enumerate(self.terms)
            if weights is None or weights[place] != 0
        ]
        means = torch.zeros(len(self.terms), device=counts.device)
        total = torch.zeros((), device=counts.device)
        present = [share for share in shares if has_units(batch, share.term)]
        if not present:
            return _nothing(student), means
        pointwise = [share for share in present if share.term.pointwise]
        if pointwise:
            total, values = self._pointwise(pointwise, student, teacher, batch)
            means[[share.place for share in pointwise]] = values
        for share in present:
            if not share.term.pointwise:
                mean = _inner(share, student, teacher, batch)
                total = total + share.weight * mean
                means[share.place] = mean.detach()
        return total, means

    def _pointwise(
        self, shares: Sequence[_Share], student: Outputs, teacher: Outputs | None, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        targets, loss_mask = batch.targets, batch.loss_mask
        if targets is None or loss_mask is None:
            raise ConfigError("objectives on logits or labels need rows with targets, got rows without any.")
        rows = torch.stack([target_weights(batch, share.term, share.counts)[loss_mask] for share in shares])
        total = torch.zeros((), device=rows.device)
        means = torch.zeros(len(shares), device=rows.device)
        reads = [_reads_teacher(share.term) for share in shares]
        for places, weights, answer in per_teacher(reads, rows, teacher, loss_mask):
            fuses = self.fused and student.hidden is not None and (answer is None or answer.logits is None)
            compute = _fused if fuses else _dense
            part, values = compute([shares[place] for place in places], student, answer, batch, weights)
            total = total + part
            means[places] += values
        return total, means

    def _needs(self, side: Side) -> Needs:
        asked = (SIGNALS[name].needs(side, term.layers) for term in self.terms for name in _reads(term))
        return NOTHING.union(*asked)


def _reads(term: Term) -> tuple[str, ...]:
    trainable = None if term.trainable is None else term.trainable.module
    return tuple(dict.fromkeys((*term.signals, *signals_of(trainable))))


def _reads_teacher(term: Term) -> bool:
    return any(SIGNALS[name].side == "teacher" for name in term.signals)


def _fused(
    shares: Sequence[_Share], student: Outputs, teacher: Outputs | None, batch: Batch, rows: Tensor
) -> tuple[Tensor, Tensor]:
    loss_mask = batch.loss_mask
    assert student.hidden is not None and isinstance(student.head, Head)
    assert batch.targets is not None and loss_mask is not None
    weights = torch.tensor([share.weight for share in shares], device=rows.device)
    teacher = teacher or Outputs()
    total, sums = linear_terms(
        [share.pointwise for share in shares],
        student.hidden[loss_mask],
        student.head,
        weights=rows * weights[:, None],
        labels=batch.targets[loss_mask],
        teacher_hidden=None if teacher.hidden is None else teacher.hidden[loss_mask],
        teacher_head=teacher.head,
        teacher_topk=None if teacher.topk is None else _take(teacher.topk, loss_mask),
        numbers={name: batch.signals[name][loss_mask] for name in BATCH_SIGNALS if name in batch.signals},
    )
    return total, torch.where(weights != 0, sums / weights, torch.zeros_like(sums))


def _dense(
    shares: Sequence[_Share], student: Outputs, teacher: Outputs | None, batch: Batch, rows: Tensor
) -> tuple[Tensor, Tensor]:
    signals: dict[str, Any] = {}
    means = []
    for share, weights in zip(shares, rows, strict=True):
        signals = share.given(student, teacher, batch, batch.loss_mask) | signals
        chosen = weights != 0
        values = share.values({name: _take(signals[name], chosen) for name in share.reads})
        means.append((values * weights[chosen]).sum())
    total = torch.stack([share.weight * mean for share, mean in zip(shares, means, strict=True)]).sum()
    return total, torch.stack(means).detach()


def _inner(share: _Share, student: Outputs, teacher: Outputs | None, batch: Batch) -> Tensor:
    if teacher is not None and teacher.members and _reads_teacher(share.term):
        if any(isinstance(weight, Tensor) for weight, _ in teacher.members):
            raise ConfigError(
                f"{share.term.name} compares positions with each other, and its teachers answer different "
                "ones. Take mean: probabilities, or let all teachers answer all rows."
            )
        parts = [weight * _inner(share, student, answer, batch) for weight, answer in teacher.members]
        return torch.stack(parts).sum(0)
    values = share.values(share.given(student, teacher, batch))
    return mean_part(values, batch, share.term, teacher, share.counts)


def _take(signal: Any, chosen: Tensor) -> Any:
    return signal.each(lambda part: part[chosen]) if isinstance(signal, TopK) else signal[chosen]


def _nothing(student: Outputs) -> Tensor:
    """0 with a graph, for a micro-batch that no term learns from: the backward still runs on every rank."""
    return next(student.tensors()).float().sum() * 0.0
