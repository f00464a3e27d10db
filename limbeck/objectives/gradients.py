"""Values and logit gradients of any pointwise objective on a block of rows."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import BATCH_SIGNALS, POINTWISE, TopK
from limbeck.objectives.kernels import KERNELS, Spare
from limbeck.objectives.outcomes import hinton_factor, outcome_ids


@dataclass(frozen=True)
class PointwiseTerm:
    """One objective of a weighted sum; it may name only pointwise signals.

    Attributes:
        objective: pure function; its positional parameters are signals of `POINTWISE`.
        hyperparameters: its keyword-only arguments.
        trainable: module that gives the others from the signals (`core.term.Trainable`), or None.
    """

    objective: Callable[..., Tensor]
    hyperparameters: Mapping[str, Any]
    trainable: nn.Module | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Of the trainable hyperparameters, as far as they are trained."""
        found = [] if self.trainable is None else self.trainable.parameters()
        return [parameter for parameter in found if parameter.requires_grad]

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the objective's positional parameters."""
        return _signals(self.objective)

    @property
    def reads_teacher(self) -> bool:
        """Whether the objective reads a teacher."""
        return self.reads_foreign or any(name.startswith("teacher") for name in self.signals)

    @property
    def reads_foreign(self) -> bool:
        """Whether the objective reads a teacher over a vocabulary of its own."""
        return "teacher_own_logits" in self.signals


@dataclass(frozen=True)
class Block:
    """Signals of some rows: student logits [R, V], and what else the terms read; `numbers` are [R] each.

    `teacher_logits` are [R, V], or [R, V'] where the teacher has a vocabulary of its own.
    """

    student_logits: Tensor
    teacher_logits: Tensor | None
    teacher_topk: TopK | None
    labels: Tensor | None
    numbers: Mapping[str, Tensor] = field(default_factory=dict)

    def options(self, term: PointwiseTerm) -> dict[str, Any]:
        """The term's hyperparameters on these rows."""
        return {**term.hyperparameters, **trainable_values(term.trainable, self.given)}

    def at(self, rows: Tensor, *, with_teacher: bool) -> "Block":
        """A copy of some rows, of the teacher's too if it is read."""
        topk = self.teacher_topk if with_teacher else None
        u = self.teacher_logits if with_teacher else None
        return Block(
            self.student_logits.index_select(0, rows),
            None if u is None else u.index_select(0, rows),
            None if topk is None else topk.each(lambda part: part.index_select(0, rows)),
            None if self.labels is None else self.labels.index_select(0, rows),
            {name: values.index_select(0, rows) for name, values in self.numbers.items()},
        )

    @property
    def given(self) -> dict[str, Any]:
        """Signals by name; a stored teacher stands in for logits."""
        return {
            "student_logits": self.student_logits,
            "teacher_logits": self.teacher_topk if self.teacher_logits is None else self.teacher_logits,
            "teacher_topk": self.teacher_topk,
            "teacher_own_logits": self.teacher_logits,
            "labels": self.labels,
            **self.numbers,
        }

    def arguments(self, term: PointwiseTerm) -> list[Any]:
        """The objective's positional arguments."""
        return [self.given[name] for name in term.signals]


@dataclass(frozen=True)
class Slopes:
    """Gradients of trainable hyperparameters: of the weighted sum of values, added up over blocks.

    Attributes:
        weights: [R] of the block's rows.
        sums: parameter -> its gradient so far, changed in place.
    """

    weights: Tensor
    sums: Mapping[nn.Parameter, Tensor]

    def add(self, term: PointwiseTerm, values: Tensor) -> None:
        """Add a block's; `values` [R] still carry their graph, and keep it."""
        trainable = term.parameters
        if not trainable:
            return
        total = (values * self.weights).sum()
        found = torch.autograd.grad(total, trainable, retain_graph=True, allow_unused=True)
        for parameter, part in zip(trainable, found, strict=True):
            if part is not None:
                self.sums[parameter].add_(part)


def signals_of(module: nn.Module | None) -> tuple[str, ...]:
    """Names of the signals that a module of trainable hyperparameters reads."""
    return () if module is None else tuple(inspect.signature(module.forward).parameters)


def trainable_values(module: nn.Module | None, signals: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters that a module gives; the signals it reads are constants to it."""
    if module is None:
        return {}
    values: dict[str, Any] = module(**{name: _constant(signals[name]) for name in signals_of(module)})
    return values


def _constant(signal: Any) -> Any:
    return signal.detach() if isinstance(signal, Tensor) else signal


def value_and_gradient(
    term: PointwiseTerm, block: Block, spare: Spare, *, finite: bool, slopes: "Slopes"
) -> Tensor:
    """The objective's values [R]; its gradient in the logits replaces `block.student_logits`.

    Overwrites the block's logits of both sides.

    Args:
        term: what to compute.
        block: of rows that all count.
        spare: scratch tensors like the logits, by number.
        finite: no logit is -inf by construction; False leaves everything to autograd, whose
            formulas know outcomes without mass.
        slopes: takes the gradients of trainable hyperparameters.
    """
    stored = block.teacher_logits is None and term.reads_teacher
    if finite and term.objective in KERNELS and term.trainable is None:
        if not stored:
            return _by_kernel(term, block, spare)
        assert block.teacher_topk is not None
        if _width(block.teacher_topk) < block.student_logits.shape[-1]:
            return _by_outcomes(term, block, block.teacher_topk)
    return _by_autograd(term, block, slopes)


def check_hyperparameters(term: PointwiseTerm) -> None:
    """Let a shipped objective refuse its hyperparameters itself, on one row of two equal outcomes."""
    if term.objective in KERNELS:
        nothing, label = torch.zeros(1, 2), torch.zeros(1, dtype=torch.long)
        block = Block(nothing, nothing, None, label, dict.fromkeys(BATCH_SIGNALS, torch.zeros(1)))
        with torch.no_grad():
            term.objective(*block.arguments(term), **block.options(term))


def _by_kernel(term: PointwiseTerm, block: Block, spare: Spare) -> Tensor:
    options = dict(term.hyperparameters)
    options.pop("tail", None)
    temperature = options.pop("temperature", 1.0)
    factor = hinton_factor(temperature, options.pop("temperature_squared", False))
    z, u = block.student_logits, block.teacher_logits
    if temperature != 1:
        z.div_(temperature)
        if u is not None:
            u.div_(temperature)
    numbers = [block.numbers[name] for name in term.signals if name in block.numbers]
    values = KERNELS[term.objective](z, u, block.labels, spare, *numbers, **options)
    if factor != temperature:
        z.mul_(factor / temperature)
    return values.squeeze(-1) * factor


def _by_outcomes(term: PointwiseTerm, block: Block, topk: TopK) -> Tensor:
    """A stored teacher: the objective itself on K + S + 1 outcomes, then the chain rule to V logits.

    The last one's student logit is the log-sum-exp of all logits outside the kept and the drawn ids,
    so a vocabulary of K + S + 1 words, the last of them for all others, gives the objective the same
    distributions.
    """
    z = block.student_logits
    ids, absent = outcome_ids(topk)
    kept = z.gather(-1, ids).masked_fill_(absent, -torch.inf)
    z.scatter_(-1, ids, -torch.inf)
    top = z.amax(-1, keepdim=True)
    torch.softmax(z, -1, out=z)
    others = top - z.amax(-1, keepdim=True).log()
    small = torch.cat([kept, others], -1).requires_grad_()
    last = ids.shape[-1]
    places = torch.arange(last, device=z.device).expand_as(ids)
    labels = None
    if block.labels is not None:
        is_label = (ids == block.labels.unsqueeze(-1)) & ~absent
        labels = torch.where(is_label.any(-1), is_label.int().argmax(-1), last)
    with torch.enable_grad():
        first = topk.ids.shape[-1]
        drawn = None if topk.drawn_ids is None else places[:, first:]
        stored = TopK(places[:, :first], topk.log_probs, topk.log_tail, drawn, topk.drawn_log_probs)
        few = Block(small, None, stored, labels, block.numbers)
        values = term.objective(*few.arguments(term), **term.hyperparameters)
        (gradient,) = torch.autograd.grad(values.sum(), small)
    kept_gradient = torch.where(absent, gradient[:, :1], gradient[:, :last])
    z.mul_(gradient[:, last:]).scatter_(-1, ids, kept_gradient)
    return values.detach()


def _width(topk: TopK) -> int:
    return topk.ids.shape[-1] + (0 if topk.drawn_ids is None else topk.drawn_ids.shape[-1])


def _by_autograd(term: PointwiseTerm, block: Block, slopes: "Slopes") -> Tensor:
    z = block.student_logits
    leaf = z.clone().requires_grad_()
    with torch.enable_grad():
        given = Block(leaf, block.teacher_logits, block.teacher_topk, block.labels, block.numbers)
        values = term.objective(*given.arguments(term), **given.options(term))
        if values.shape != z.shape[:1]:
            raise ObjectiveError(
                f"a pointwise objective must return one value for each position, {tuple(z.shape[:1])}, "
                f"got {tuple(values.shape)}."
            )
        slopes.add(term, values)
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
    z.copy_(gradient)
    return values.detach().float()


@cache
def _signals(objective: Callable[..., Any]) -> tuple[str, ...]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(p.name for p in inspect.signature(objective).parameters.values() if p.kind in kinds)
    other = [name for name in names if name not in POINTWISE]
    if other or "student_logits" not in names:
        raise ObjectiveError(
            f"{getattr(objective, '__name__', objective)} must read student_logits and else only "
            f"{', '.join(sorted(POINTWISE))} to be computed row by row, got {', '.join(names) or 'nothing'}."
        )
    return names
