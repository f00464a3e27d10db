"""A sum of terms over one micro-batch, each divided by its own count over the whole step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.core.batch import Batch
from limbeck.core.chunk_likelihoods import chunk_likelihoods
from limbeck.core.errors import ConfigError
from limbeck.core.outputs import Needs, Outputs, space_of
from limbeck.core.reader import project
from limbeck.core.signals import BATCH_SIGNALS, Chunks, Head, TopK
from limbeck.core.term import Term
from limbeck.core.units import Unit
from limbeck.objectives.fused import PointwiseTerm, linear_terms
from limbeck.objectives.gradients import learnt_values, signals_of
from limbeck.objectives.means import CHUNKS, counts, divisor, has_units, mean_part, target_weights
from limbeck.objectives.readings import readings
from limbeck.objectives.router_balance import routed_tokens

_DISTRIBUTIONS = {
    "student": {"student_logits", "student_chunks"},
    "teacher": {"teacher_logits", "teacher_topk", "teacher_own_logits"},
}


@dataclass(frozen=True)
class _Share:
    """A term in one step: its weight, hyperparameters, the counts it is divided by, tokens by expert."""

    term: Term
    place: int
    weight: float
    hyperparameters: Mapping[str, Any]
    counts: Tensor
    routed: Tensor | None = None

    @property
    def pointwise(self) -> PointwiseTerm:
        """For the fused path."""
        return PointwiseTerm(self.term.objective, self.hyperparameters, self.learnt)

    @property
    def learnt(self) -> nn.Module | None:
        """What gives the learnt hyperparameters."""
        return None if self.term.learnt is None else self.term.learnt.module


class Criterion:
    """Terms bound to what student and teacher answer; knows nothing of models, loops or devices.

    The mean of a term runs over the units its objective returns: tokens for [B, T], sequences
    for [B], batches for []. Counts come from outside (`counts`, summed by the engine over all
    micro-batches and ranks of a step), so that micro-batching cannot change the loss.

    Args:
        terms: with different names.
        fused: compute pointwise terms from hidden states and heads, without dense logits.
    """

    def __init__(self, terms: Sequence[Term], *, fused: bool = True) -> None:
        names = [term.name for term in terms]
        if len(set(names)) < len(names):
            raise ConfigError(f"terms must have different names, got {', '.join(names)}.")
        self.terms = tuple(terms)
        self.fused = fused

    @property
    def student_needs(self) -> Needs:
        """What the terms ask of the student."""
        return self._needs("student")

    @property
    def teacher_needs(self) -> Needs:
        """What the terms ask of the teacher; empty when no term reads a teacher."""
        return self._needs("teacher")

    def counts(self, batch: Batch, teacher: Outputs | None = None) -> Tensor:
        """Units each term learns from in this micro-batch: [terms, 4] tokens, sequences, batches, chunks."""
        return torch.stack([counts(batch, term, teacher) for term in self.terms])

    def routed(self, student: Outputs, batch: Batch) -> Tensor:
        """Tokens of a micro-batch that each expert is chosen for, a mean over layers: [E].

        Args:
            student: its answer to `Needs(routing=True)`.
            batch: that it read.
        """
        assert student.routing is not None
        return routed_tokens(student.routing, batch.attention_mask.bool())

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
        routed: Tensor | None = None,
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
            routed: [E] as `routed`, summed over the optimizer step; None: this micro-batch is the step.

        Returns:
            [] this micro-batch's part of the loss (the parts of a step add up to it), and
            [terms] its part of each term's mean, without the weight, detached.
        """
        shares = [
            _Share(
                term,
                place,
                term.weight_at(step, total_steps) if weights is None else weights[place],
                term.hyperparameters_at(step, total_steps),
                counts[place],
                routed,
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
        targets, learnt = batch.targets, batch.learnt
        if targets is None or learnt is None:
            raise ConfigError("objectives on logits or labels need rows with targets, got rows without any.")
        rows = torch.stack([target_weights(batch, share.term, share.counts)[learnt] for share in shares])
        numbers = {name: batch.signals[name][learnt] for name in BATCH_SIGNALS if name in batch.signals}
        total = torch.zeros((), device=rows.device)
        means = torch.zeros(len(shares), device=rows.device)
        reads = [any(name.startswith("teacher_") for name in share.term.signals) for share in shares]
        for places, weights, answer in readings(reads, rows, teacher, learnt):
            fuses = self.fused and student.hidden is not None and (answer is None or answer.logits is None)
            compute = _fused if fuses else _dense
            part, values = compute(
                [shares[place] for place in places],
                student,
                answer,
                learnt,
                targets[learnt],
                weights,
                numbers,
            )
            total = total + part
            means[places] += values
        return total, means

    def _needs(self, side: str) -> Needs:
        needs = Needs()
        for term in self.terms:
            read = set(term.signals)
            layers: tuple[int, ...] = getattr(term.layers, side) if term.layers else ()
            needs |= Needs(
                distribution=bool(read & _DISTRIBUTIONS[side]),
                states=layers if read & {f"{side}_states", f"{side}_chunk_states"} else (),
                qkv=layers if f"{side}_qkv" in read else (),
                chunks=side == "teacher" and bool(read & set(CHUNKS)),
                space=f"{side}_space" in read,
                routing=f"{side}_routing" in read,
            )
        return needs


def _fused(
    shares: Sequence[_Share],
    student: Outputs,
    teacher: Outputs | None,
    learnt: Tensor,
    labels: Tensor,
    rows: Tensor,
    numbers: Mapping[str, Tensor],
) -> tuple[Tensor, Tensor]:
    assert student.hidden is not None and isinstance(student.head, Head)
    weights = torch.tensor([share.weight for share in shares], device=rows.device)
    teacher = teacher or Outputs()
    total, sums = linear_terms(
        [share.pointwise for share in shares],
        student.hidden[learnt],
        student.head,
        weights=rows * weights[:, None],
        labels=labels,
        teacher_hidden=None if teacher.hidden is None else teacher.hidden[learnt],
        teacher_head=teacher.head,
        teacher_topk=None if teacher.topk is None else _take(teacher.topk, learnt),
        numbers=numbers,
    )
    return total, torch.where(weights != 0, sums / weights, torch.zeros_like(sums))


def _dense(
    shares: Sequence[_Share],
    student: Outputs,
    teacher: Outputs | None,
    learnt: Tensor,
    labels: Tensor,
    rows: Tensor,
    numbers: Mapping[str, Tensor],
) -> tuple[Tensor, Tensor]:
    signals: dict[str, Any] = {"student_logits": _logits(student, learnt), "labels": labels, **numbers}
    if teacher is not None and _has_distribution(teacher):
        stored = teacher.topk
        signals["teacher_logits"] = _logits(teacher, learnt) if stored is None else _take(stored, learnt)
        signals["teacher_own_logits"] = signals["teacher_logits"]
    means = []
    for share, mask in zip(shares, rows, strict=True):
        chosen = mask != 0
        given = {name: _take(signal, chosen) for name, signal in signals.items()}
        arguments = [given[name] for name in share.term.signals]
        options = {**share.hyperparameters, **learnt_values(share.learnt, given)}
        values = share.term.objective(*arguments, **options)
        means.append((values * mask[chosen]).sum())
    total = torch.stack([share.weight * mean for share, mean in zip(shares, means, strict=True)]).sum()
    return total, torch.stack(means).detach()


def _inner(share: _Share, student: Outputs, teacher: Outputs | None, batch: Batch) -> Tensor:
    reads_teacher = any(name.startswith("teacher_") for name in share.term.signals)
    if teacher is not None and teacher.members and reads_teacher:
        if any(isinstance(weight, Tensor) for weight, _ in teacher.members):
            raise ConfigError(
                f"{share.term.name} compares positions with each other, and its teachers answer different "
                "ones. Take mean: probabilities, or let all teachers answer all rows."
            )
        parts = [weight * _inner(share, student, answer, batch) for weight, answer in teacher.members]
        return torch.stack(parts).sum(0)
    read = {*share.term.signals, *signals_of(share.learnt)}
    given = {name: _inner_signal(name, share, student, teacher, batch) for name in read}
    options = {**share.hyperparameters, **learnt_values(share.learnt, given)}
    values: Tensor = share.term.objective(*(given[name] for name in share.term.signals), **options)
    return mean_part(values, batch, share.term, share.counts)


def _inner_signal(name: str, share: _Share, student: Outputs, teacher: Outputs | None, batch: Batch) -> Any:
    term = share.term
    if name == "attention_mask":
        return batch.attention_mask
    if name in ("spans", *BATCH_SIGNALS):
        return batch.signals[name]
    if name == "labels":
        assert batch.targets is not None
        return batch.targets.clamp_min(0)  # what is not learnt has no weight in the mean
    if name == "routed_shares":
        assert student.routing is not None
        step = share.routed
        if step is None:
            step = routed_tokens(student.routing, batch.attention_mask.bool())
        return (step / divisor(share.counts, Unit.TOKEN)).float()
    side, what = name.split("_", 1)
    outputs = student if side == "student" else teacher
    assert outputs is not None
    if what in ("chunks", "chunk_states"):
        assert teacher is not None and teacher.chunks is not None
        return _of_chunks(what, outputs, teacher.chunks, term, batch, side)
    if what == "space":
        return space_of(outputs, batch)
    if what == "routing":
        return outputs.routing
    if what == "logits" and outputs.logits is not None:
        return outputs.logits
    if what == "logits":  # of all positions: neighbours are compared
        everywhere = torch.ones(batch.inputs["input_ids"].shape, dtype=torch.bool, device=batch.device)
        return _logits(outputs, everywhere).view(*everywhere.shape, -1)
    assert term.layers is not None
    layers: tuple[int, ...] = getattr(term.layers, side)
    if what == "states":
        return torch.stack([outputs.states[layer] for layer in layers], dim=1)
    return outputs.qkv[layers[0]]


def _of_chunks(what: str, outputs: Outputs, chunks: Chunks, term: Term, batch: Batch, side: str) -> Tensor:
    """Likelihoods [N] of chunks under one side, or its states [E, M, D] at the last token of each."""
    if what == "chunks":
        return chunks.log_probs if side == "teacher" else chunk_likelihoods(outputs, chunks, batch)
    assert term.layers is not None
    if side == "teacher":
        return torch.stack([chunks.states[layer] for layer in term.layers.teacher], dim=1)
    states = [outputs.states[layer].flatten(0, 1)[chunks.lasts] for layer in term.layers.student]
    return torch.stack(states, dim=1)


def _logits(outputs: Outputs, learnt: Tensor) -> Tensor:
    if outputs.logits is not None:
        return outputs.logits[learnt]
    assert outputs.hidden is not None and outputs.head is not None
    return project(outputs.hidden[learnt], outputs.head)


def _has_distribution(teacher: Outputs) -> bool:
    return teacher.logits is not None or teacher.hidden is not None or teacher.topk is not None


def _take(signal: Any, chosen: Tensor) -> Any:
    return signal.each(lambda part: part[chosen]) if isinstance(signal, TopK) else signal[chosen]


def _nothing(student: Outputs) -> Tensor:
    """0 with a graph, for a micro-batch that no term learns from: the backward still runs on every rank."""
    answers = (
        student.hidden,
        student.logits,
        *student.states.values(),
        *(q for q, *_ in student.qkv.values()),
    )
    answer = next(answer for answer in answers if answer is not None)
    return answer.float().sum() * 0.0
