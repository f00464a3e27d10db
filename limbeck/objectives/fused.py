"""Pointwise objectives straight from hidden states and vocabulary heads; [N, V] never exists.

Rows go through in chunks. Of each chunk the logits of both sides are projected once, the gradient
in the student's logits is written over them, and its products with hidden states and head are
added up at once: four head products for an objective with a teacher, nothing left for the
backward but a factor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import BATCH_SIGNALS, Head, MixedHead, TopK
from limbeck.objectives.gradients import PointwiseTerm, check_hyperparameters
from limbeck.objectives.sweep import Plan, sweep

__all__ = ["PointwiseTerm", "linear_objective", "linear_terms"]


def linear_terms(
    terms: Sequence[PointwiseTerm],
    student_hidden: Tensor,
    student_head: Head,
    *,
    weights: Tensor,
    labels: Tensor | None = None,
    teacher_hidden: Tensor | None = None,
    teacher_head: Head | MixedHead | None = None,
    teacher_topk: TopK | None = None,
    numbers: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Weighted sums of pointwise objectives over rows, from hidden states.

    Equal to projecting both sides, calling each objective and summing, in value and gradient, to
    float32 rounding. A row does not exist for a term that gives it weight 0, whatever it holds.

    Args:
        terms: K objectives; shipped ones have closed-form gradients, others go through autograd.
        student_hidden: [N, Hs].
        student_head: weight [V, Hs]; gradients flow to its weight and bias.
        weights: [K, N], constants; any sign.
        labels: [N] ids in [0, V), for objectives that read labels; anything at rows of weight 0.
        teacher_hidden: [N, Ht], a constant.
        teacher_head: weight [V, Ht], constants, or the heads of several teachers; [V', Ht] where objectives
            read it as teacher_own_logits.
        teacher_topk: in the place of the two before, [N, K'], a constant.
        numbers: signals of the batch that objectives name, [N] each, constants.

    Returns:
        total: [], float32, sum_k sum_n weights[k, n] * objective_k[n]; carries the gradients.
        sums: [K], float32, the parts of the total by term; detached.

    Raises:
        ObjectiveError: shapes do not fit, a signal is missing, or a hyperparameter is out of range.
    """
    numbers = numbers or {}
    _check(terms, student_hidden, student_head, weights, labels, teacher_hidden, teacher_head, teacher_topk)
    _check_numbers(terms, numbers, student_hidden.shape[0])
    for term in terms:
        check_hyperparameters(term)
    trainable = list(dict.fromkeys(parameter for term in terms for parameter in term.parameters))
    if not any(term.reads_teacher for term in terms):
        teacher_hidden = teacher_head = teacher_topk = None
    wants = (student_hidden, student_head.weight, student_head.bias)
    plan = Plan(
        terms=tuple(terms),
        head=replace(student_head, weight=student_head.weight.detach(), bias=_detached(student_head.bias)),
        weights=weights.detach().float(),
        labels=labels,
        teacher_hidden=_detached(teacher_hidden),
        teacher_head=teacher_head,
        teacher_topk=teacher_topk,
        numbers={name: values.detach().float() for name, values in numbers.items()},
        wants=tuple(torch.is_grad_enabled() and x is not None and x.requires_grad for x in wants),
    )
    result: tuple[Tensor, Tensor] = _LinearTerms.apply(plan, *wants, *trainable)
    return result


def linear_objective(
    objective: Callable[..., Tensor],
    student_hidden: Tensor,
    student_weight: Tensor | Head,
    teacher_hidden: Tensor | None = None,
    teacher_weight: Tensor | Head | None = None,
    *,
    weights: Tensor,
    labels: Tensor | None = None,
    teacher_topk: TopK | None = None,
    numbers: Mapping[str, Tensor] | None = None,
    **hyperparameters: Any,
) -> Tensor:
    """Sum over rows of weights * objective, from hidden states; `linear_terms` of one objective.

    Args:
        objective: of pointwise signals, `limbeck.objectives.forward_kl` for one.
        student_hidden: [N, Hs].
        student_weight: [V, Hs], or a Head where there is a bias, a scale or a softcap.
        teacher_hidden: [N, Ht].
        teacher_weight: [V, Ht], or a Head; of another vocabulary for an objective of teacher_own_logits.
        weights: [N], constants.
        labels: [N] ids.
        teacher_topk: in the place of the teacher's hidden states and head.
        numbers: signals of the batch that the objective names, [N] each.
        hyperparameters: the objective's own.

    Returns:
        [], float32.

    Raises:
        ObjectiveError: as `linear_terms`.
    """
    total, _ = linear_terms(
        [PointwiseTerm(objective, hyperparameters)],
        student_hidden,
        _as_head(student_weight),
        weights=weights.unsqueeze(0),
        labels=labels,
        teacher_hidden=teacher_hidden,
        teacher_head=None if teacher_weight is None else _as_head(teacher_weight),
        teacher_topk=teacher_topk,
        numbers=numbers,
    )
    return total


class _LinearTerms(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, plan: Plan, hidden: Tensor, weight: Tensor, bias: Tensor | None, *trainable: Tensor
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(hidden.device.type, enabled=False):
            values, gradients = sweep(hidden.detach(), plan)
        wide = torch.float32 if hidden.device.type == "mps" else torch.float64
        sums = (values.to(wide) * plan.weights.to(wide)).sum(-1)
        ctx.save_for_backward(*gradients)
        ctx.dtypes = tuple(None if x is None else x.dtype for x in (hidden, weight, bias, *trainable))
        parts = sums.float()
        ctx.mark_non_differentiable(parts)
        return sums.sum().float(), parts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        # A copy only where there is a factor: the gradient of a head is as large as the head.
        scaled = upstream.device.type != "cpu" or upstream.item() != 1
        gradients = [
            None if gradient is None else (gradient * upstream if scaled else gradient).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        ]
        return (None, *gradients)


def _check(
    terms: Sequence[PointwiseTerm],
    student_hidden: Tensor,
    student_head: Head,
    weights: Tensor,
    labels: Tensor | None,
    teacher_hidden: Tensor | None,
    teacher_head: Head | MixedHead | None,
    teacher_topk: TopK | None,
) -> None:
    read = {name for term in terms for name in term.signals}
    if (teacher_hidden is None) != (teacher_head is None):
        raise ObjectiveError("teacher_hidden and teacher_head must come together, got one without the other.")
    if teacher_hidden is not None and teacher_topk is not None:
        raise ObjectiveError("the teacher must be hidden states with a head or a TopK, got both.")
    if "teacher_logits" in read and teacher_hidden is None and teacher_topk is None:
        raise ObjectiveError("teacher_hidden with teacher_head, or teacher_topk, must be given, got neither.")
    if "teacher_own_logits" in read and teacher_hidden is None:
        raise ObjectiveError(
            "teacher_hidden with teacher_head must be given for an objective of teacher_own_logits, got "
            f"{'none' if teacher_topk is None else 'a TopK'}."
        )
    if "teacher_topk" in read and teacher_topk is None:
        raise ObjectiveError("teacher_topk must be given for an objective that names it, got none.")
    if "labels" in read and labels is None:
        raise ObjectiveError("labels must be given for an objective that names them, got none.")
    _check_side("student", student_hidden, student_head)
    rows = student_hidden.shape[0]
    if teacher_hidden is not None and teacher_head is not None:
        _check_side("teacher", teacher_hidden, teacher_head)
        student, teacher = (rows, student_head.vocabulary), (len(teacher_hidden), teacher_head.vocabulary)
        shared = 2 if "teacher_logits" in read else 1
        if student[:shared] != teacher[:shared]:
            what = "rows and vocabulary" if shared == 2 else "rows"
            raise ObjectiveError(
                f"{what} must be equal on both sides, got student {student}, teacher {teacher}. "
                "Cut both heads to the shared vocabulary first."
            )
    if weights.shape != (len(terms), rows):
        raise ObjectiveError(f"weights must be {(len(terms), rows)}, got {tuple(weights.shape)}.")
    if labels is not None and labels.shape != (rows,):
        raise ObjectiveError(f"labels must be {(rows,)}, got {tuple(labels.shape)}.")


def _check_numbers(terms: Sequence[PointwiseTerm], numbers: Mapping[str, Tensor], rows: int) -> None:
    missing = {name for term in terms for name in term.signals if name in BATCH_SIGNALS} - numbers.keys()
    if missing:
        raise ObjectiveError(f"{' and '.join(sorted(missing))} must be given, got none.")
    for name, values in numbers.items():
        if values.shape != (rows,):
            raise ObjectiveError(f"{name} must be {(rows,)}, got {tuple(values.shape)}.")


def _check_side(side: str, hidden: Tensor, head: Head | MixedHead) -> None:
    if isinstance(head, MixedHead):
        if hidden.dim() != 2 or hidden.shape[1] != head.width:
            raise ObjectiveError(
                f"{side}_hidden must be [N, {head.width}] for these {len(head.heads)} heads, got "
                f"{tuple(hidden.shape)}."
            )
        return
    if hidden.dim() != 2 or head.weight.dim() != 2 or hidden.shape[1] != head.weight.shape[1]:
        raise ObjectiveError(
            f"{side}_hidden must be [N, H] for a weight [V, H], got {tuple(hidden.shape)} and "
            f"{tuple(head.weight.shape)}."
        )
    if head.bias is not None and head.bias.shape != head.weight.shape[:1]:
        raise ObjectiveError(
            f"the {side}'s bias must be {tuple(head.weight.shape[:1])}, got {tuple(head.bias.shape)}."
        )


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()


def _as_head(weight: Tensor | Head) -> Head:
    return weight if isinstance(weight, Head) else Head(weight)
