"""Span relation: what neighbouring tokens of a phrase have in common must be the teacher's."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from limbeck.core.checks import check_same_shape
from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import TopK

_CHUNK = 2**22  # entries of one [pairs, V] block
_TINY = 1e-12  # below it the teacher's relations of a row are taken for none


def span_relation(
    student_logits: Tensor, teacher_logits: Tensor, spans: Tensor, *, relative: bool = True
) -> Tensor:
    """Squared distance of the products p_t * p_(t+1), over neighbouring positions of one span.

    For each pair of neighbours inside a span, c = p_t * p_(t+1) elementwise, [V], of the teacher and
    of the student. The value of a row is the mean over its spans of the mean over their pairs of
    |c_teacher - c_student|^2; 0 for a row without a pair.

    Products of two vocabulary distributions are small (their squares around 1e-6 and less), so beside
    other terms the bare value is a term of weight nothing. With `relative` it is divided by the same
    mean of |c_teacher|^2, a constant: 0 when all products agree, 1 for a student without any.

    Args:
        student_logits: [B, T, V], any float dtype; computed in float32.
        teacher_logits: [B, T, V], over the same vocabulary in the same order; not a TopK.
        spans: [B, T], the number of the span of each position's target, below 0 outside of spans.
            Two spans side by side have different numbers.
        relative: divide by the teacher's own products.

    Returns:
        [B], without unit; not reduced over the batch.

    Raises:
        ObjectiveError: shapes differ, or the teacher is a TopK.

    Takes:
        Rows with tokens to predict; a live teacher with the same ids.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2, 2), torch.tensor([[[3.0, 1.0], [3.0, 1.0]]]).log()
        >>> span_relation(student, teacher, torch.tensor([[0, 0]]), relative=False)
        tensor([0.1328])

    Source:
        Liu et al. 2024 (MGSR), arXiv:2407.10068; no code was released. The squared norm is from its
        description, the relative scale is ours. Dense student logits get one gradient of their shape;
        no other copy of [B, T, V] is made.
    """
    if isinstance(teacher_logits, TopK):
        raise ObjectiveError(
            "the teacher of span_relation must give all scores, got a stored top-k; products of neighbours "
            "need both rows whole. Let the teacher answer live."
        )
    check_same_shape(student_logits=student_logits, teacher_logits=teacher_logits)
    if spans.shape != student_logits.shape[:-1]:
        raise ObjectiveError(
            f"spans must be {tuple(student_logits.shape[:-1])}, one number for each position, got "
            f"{tuple(spans.shape)}."
        )
    values: Tensor = _SpanRelation.apply(student_logits, teacher_logits.detach(), spans, relative)
    return values


def pairs_of(spans: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Neighbours inside spans [B, T]: rows [N], positions of the first [N], and weights [N].

    The weights of a row add up to 1: 1 / (spans with a pair * pairs of the span).
    """
    row, first = ((spans[:, 1:] == spans[:, :-1]) & (spans[:, 1:] >= 0)).nonzero(as_tuple=True)
    span, span_of_pair, sizes = torch.stack([row, spans[row, first]], -1).unique(
        dim=0, return_inverse=True, return_counts=True
    )
    in_row = torch.bincount(span[:, 0], minlength=spans.shape[0]) if len(span) else spans.new_zeros(1)
    return row, first, 1.0 / (sizes[span_of_pair] * in_row[row]) if len(row) else row.float()


class _SpanRelation(torch.autograd.Function):
    """Values by chunks of pairs; the gradient is written in the forward, while both rows are at hand."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, spans: Tensor, relative: bool) -> Tensor:
        row, first, weight = pairs_of(spans)
        values, scale = student.new_zeros(2, student.shape[0], dtype=torch.float32)
        gradient = torch.zeros_like(student, dtype=torch.float32) if ctx.needs_input_grad[0] else None
        size = max(1, _CHUNK // student.shape[-1])
        for start in range(0, len(row), size):
            part = slice(start, start + size)
            _add_pairs(student, teacher, row[part], first[part], weight[part], values, scale, gradient)
        factor = torch.where(scale > _TINY, 1 / scale, 0.0) if relative else torch.ones_like(scale)
        if gradient is not None:
            ctx.save_for_backward(gradient.mul_(factor[:, None, None]).to(student.dtype))
        return values * factor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[:, None, None].to(gradient.dtype), None, None, None


def _add_pairs(
    student: Tensor,
    teacher: Tensor,
    row: Tensor,
    first: Tensor,
    weight: Tensor,
    values: Tensor,
    scale: Tensor,
    gradient: Tensor | None,
) -> None:
    """Add some pairs to values and scale [B], and their slope in the student's logits to `gradient`."""
    here, following = ((row, first + step) for step in (0, 1))
    a, b = (student[place].float().softmax(-1) for place in (here, following))
    goal = teacher[here].float().softmax(-1).mul_(teacher[following].float().softmax(-1))
    scale.index_add_(0, row, weight * goal.square().sum(-1))
    error = a * b - goal
    values.index_add_(0, row, weight * error.square().sum(-1))
    if gradient is None:
        return
    # dL/da = 2 w error b, then through the softmax: a (g - sum a g); the sum is the same for a and b.
    slope = 2 * weight[:, None] * error * a * b
    mean = slope.sum(-1, keepdim=True)
    gradient.index_put_(here, slope - a * mean, accumulate=True)
    gradient.index_put_(following, slope - b * mean, accumulate=True)
