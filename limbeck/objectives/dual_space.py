"""DSKD: each model's hidden states speak through the other's head, aligned by cross-attention."""

import math
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from limbeck.core.checks import check_choice, check_fraction, check_positive
from limbeck.core.errors import ObjectiveError
from limbeck.core.forward_model import project
from limbeck.core.masks import IGNORE
from limbeck.core.precision import wide
from limbeck.core.signals import Head
from limbeck.core.signals.space import HeadSpace
from limbeck.objectives.adaptive_kl import adaptive_kl
from limbeck.objectives.forward_kl import forward_kl
from limbeck.objectives.jsd import jsd
from limbeck.objectives.reverse_kl import reverse_kl
from limbeck.objectives.skew_forward_kl import skew_forward_kl
from limbeck.objectives.skew_reverse_kl import skew_reverse_kl

Divergence = Literal["forward_kl", "reverse_kl", "jsd", "adaptive_kl", "skew_forward_kl", "skew_reverse_kl"]

_DIVERGENCES = ("forward_kl", "reverse_kl", "jsd", "adaptive_kl", "skew_forward_kl", "skew_reverse_kl")


class Affine(NamedTuple):
    """x -> x @ weight.T + bias, with weight [out, in] and bias [out]."""

    weight: Tensor
    bias: Tensor


def dual_space(
    student_space: HeadSpace,
    teacher_space: HeadSpace,
    *,
    query: Affine,
    to_student: Affine,
    to_teacher: Affine,
    temperature: float = 2.0,
    divergence: Divergence = "forward_kl",
    skew: float = 0.1,
) -> Tensor:
    """Three losses in two output spaces, per position of the student.

    With e the embeddings of the token read and of the token to predict, h the hidden states and sigma a
    standard deviation, over the positions of one row that learn on either side:

        attention = softmax(query([e_in; e_out]_S) @ ([e_in; e_out]_T / sigma).T / sqrt(2 D_T))
        t2s = head_S(attention @ to_student(h_T / sigma + e_out,T / sigma))
        s2t = head_T(attention' @ to_teacher(h_S))       attention': softmax over the student's positions

        L = CE(labels, t2s) + [argmax t2s is the label] * D(student, t2s as teacher) + KL(teacher || s2t)

    KL and D are at `temperature`, without a factor of its square. CE and KL train the projections (KL also
    the student's states), D the student. Heads and embeddings are constants but for the student's own scores
    in D. At first t2s is rarely right, so that D begins at 0; this is expected.

    The value of a position is what it adds to the published sum: CE and D where they arise, and an equal
    share of its row's KL, which is a sum over the teacher's positions. The mean over the student's learnt
    tokens is then the published loss, over any micro-batching. A row where either side learns nothing
    (its text was cut) adds 0.

    Args:
        student_space: [B, T_S, ...] in rows that are not packed; logits over V_S.
        teacher_space: [B, T_T, ...] of the same rows in the same order; logits over V_T; a constant. Its
            hidden states are as wide as its embeddings.
        query: [2 D_T, 2 D_S], from the student's embeddings to the teacher's.
        to_student: [H_S, D_T].
        to_teacher: [H_T, H_S].
        temperature: of KL and D; above 0, 2 in the official scripts.
        divergence: D by its name here; jsd takes beta 0.5 and adaptive_kl mu 0.5, as the official code.
        skew: alpha of the two skew divergences, in [0, 1]; 0.1 in the official code.

    Returns:
        [B, T_S], in nats; 0 where nothing is learnt.

    Raises:
        ObjectiveError: rows or widths do not fit, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens to predict, not packed; a live teacher with any tokenizer.

    Example:
        >>> import torch
        >>> from limbeck.core.signals import Head
        >>> from limbeck.core.signals.space import HeadSpace
        >>> one, labels, head = torch.ones(1, 1, 1), torch.tensor([[0]]), Head(torch.zeros(2, 1))
        >>> space, same = HeadSpace(one, one, one, labels, head), Affine(torch.eye(1), torch.zeros(1))
        >>> query = Affine(torch.eye(2), torch.zeros(2))
        >>> dual_space(space, space, query=query, to_student=same, to_teacher=same)  # all uniform: log 2
        tensor([[0.6931]])

    Source:
        Zhang et al. 2024, arXiv:2406.17328; songmzhang/DSKD,
        `code/criterions/dual_space_kd_with_cross_model_attention.py:DualSpaceKDWithCMA`. We differ: sigma
        is over the positions in the loss of one row, there over the whole micro-batch with its prompts and
        padding (so that what a row gives depends on its neighbours); scale, bias and soft cap of a
        head are applied, there its weight alone.
    """
    check_positive(temperature=temperature)
    check_choice(_DIVERGENCES, divergence=divergence)
    check_fraction(skew=skew)
    _check_widths(student_space, teacher_space, query, to_student, to_teacher)
    # Zeros that carry a graph: where nothing is learnt, the backward must still run.
    values = wide(student_space.hidden[..., :0]).sum(-1)
    student, teacher = _both(student_space, teacher_space)
    if not student.real.any():
        return values
    with torch.autocast(values.device.type, enabled=False):
        t2s, s2t = _crossed(student, teacher, query, to_student, to_teacher)
    ours, theirs = student.real, teacher.real
    t2s_logits = project(t2s.to(student.hidden.dtype)[ours], _constant(student.head))
    labels = student.labels[ours]
    loss_mask = F.cross_entropy(wide(t2s_logits), labels, reduction="none")
    right = t2s_logits.argmax(-1) == labels
    scores = project(student.hidden[ours][right], student.head)
    apart = _divergence(scores, t2s_logits[right], divergence, temperature, skew)
    loss_mask = loss_mask.index_put((right.nonzero().squeeze(-1),), apart, accumulate=True)
    head = _constant(teacher.head)
    s2t_logits = project(s2t.to(student.hidden.dtype)[theirs], head)
    kl = forward_kl(s2t_logits, project(teacher.hidden[theirs], head), temperature=temperature)
    row = torch.arange(len(theirs), device=kl.device)[:, None]
    of_row = kl.new_zeros(len(theirs)).index_add(0, row.expand_as(theirs)[theirs], kl)
    row = row.expand_as(ours)[ours]
    loss_mask = loss_mask + (of_row / ours.sum(1).clamp_min(1))[row]
    return values.index_put((row, student.places[ours]), loss_mask, accumulate=True)


class _Side(NamedTuple):
    """Positions of a space in the loss, moved left: [B, N, ...]; `real` is False at what fills up."""

    hidden: Tensor
    embeddings: Tensor
    targets: Tensor
    labels: Tensor
    places: Tensor
    real: Tensor
    head: Head


def _both(student: HeadSpace, teacher: HeadSpace) -> tuple[_Side, _Side]:
    loss_mask = [space.labels != IGNORE for space in (student, teacher)]
    shared = loss_mask[0].any(1, keepdim=True) & loss_mask[1].any(1, keepdim=True)
    constant = teacher._replace(hidden=teacher.hidden.detach())
    return _side(student, loss_mask[0] & shared), _side(constant, loss_mask[1] & shared)


def _side(space: HeadSpace, loss_mask: Tensor) -> _Side:
    counts = loss_mask.sum(1)
    longest = int(counts.max())
    places = loss_mask.int().argsort(dim=1, descending=True, stable=True)[:, :longest]
    real = torch.arange(longest, device=places.device) < counts[:, None]

    def of(part: Tensor) -> Tensor:
        index = places.view(*places.shape, *(1,) * (part.dim() - 2))
        return part.take_along_dim(index, 1)

    targets = wide(of(space.outputs).detach())
    embeddings = torch.cat([wide(of(space.inputs).detach()), targets], -1)
    return _Side(of(space.hidden), embeddings, targets, of(space.labels), places, real, space.head)


def _crossed(
    student: _Side, teacher: _Side, query: Affine, to_student: Affine, to_teacher: Affine
) -> tuple[Tensor, Tensor]:
    """Hidden states for the student's head [B, N_S, H_S] and for the teacher's [B, N_T, H_T]."""
    width = teacher.hidden.shape[-1]
    asked = F.linear(student.embeddings, *map(wide, query))
    scores = asked @ _scaled(teacher.embeddings, teacher.real).transpose(1, 2) / math.sqrt(2 * width)
    said = _scaled(wide(teacher.hidden), teacher.real) + _scaled(teacher.targets, teacher.real)
    # The least number, not -inf: a row that is all filling would be NaN, and reach gradients.
    least = torch.finfo(scores.dtype).min
    of_teacher = scores.masked_fill(~teacher.real[:, None], least).softmax(-1)
    of_student = scores.transpose(1, 2).masked_fill(~student.real[:, None], least).softmax(-1)
    return (
        of_teacher @ F.linear(said, *map(wide, to_student)),
        of_student @ F.linear(wide(student.hidden), *map(wide, to_teacher)),
    )


def _scaled(values: Tensor, real: Tensor) -> Tensor:
    """Each row [N, D] divided by the standard deviation of its real numbers; as it is where that is 0."""
    kept = real[..., None]
    count = (real.sum(1) * values.shape[-1])[:, None, None].clamp_min(2)
    mean = (values * kept).sum((1, 2), keepdim=True) / count
    variance = ((values - mean).square() * kept).sum((1, 2), keepdim=True) / (count - 1)
    return values / torch.where(variance > 0, variance, 1.0).sqrt()


def _divergence(student: Tensor, teacher: Tensor, name: str, temperature: float, skew: float) -> Tensor:
    match name:
        case "reverse_kl":
            return reverse_kl(student, teacher, temperature=temperature)
        case "jsd":
            return jsd(student, teacher, beta=0.5, temperature=temperature)
        case "adaptive_kl":
            return adaptive_kl(student, teacher, temperature=temperature)
        case "skew_forward_kl":
            return skew_forward_kl(student, teacher, alpha=skew, temperature=temperature)
        case "skew_reverse_kl":
            return skew_reverse_kl(student, teacher, alpha=skew, temperature=temperature)
        case _:
            return forward_kl(student, teacher, temperature=temperature)


def _constant(head: Head) -> Head:
    return replace(head, weight=head.weight.detach(), bias=None if head.bias is None else head.bias.detach())


def _check_widths(
    student: HeadSpace, teacher: HeadSpace, query: Affine, to_student: Affine, to_teacher: Affine
) -> None:
    if student.hidden.shape[0] != teacher.hidden.shape[0]:
        raise ObjectiveError(
            "student_space and teacher_space must hold the same rows, got "
            f"{student.hidden.shape[0]} and {teacher.hidden.shape[0]}. Lay rows out without packing."
        )
    width = teacher.hidden.shape[-1]
    if teacher.outputs.shape[-1] != width:
        raise ObjectiveError(
            f"the teacher's hidden states must be as wide as its embeddings, got {width} and "
            f"{teacher.outputs.shape[-1]}; they are added. Take another teacher."
        )
    wanted = {
        "query": (2 * width, 2 * student.outputs.shape[-1]),
        "to_student": (student.hidden.shape[-1], width),
        "to_teacher": (width, student.hidden.shape[-1]),
    }
    given = {"query": query, "to_student": to_student, "to_teacher": to_teacher}
    wrong = [name for name, shape in wanted.items() if tuple(given[name].weight.shape) != shape]
    if wrong:
        listed = ", ".join(f"{name} {wanted[name]}" for name in wrong)
        got = ", ".join(str(tuple(given[name].weight.shape)) for name in wrong)
        raise ObjectiveError(
            f"weights must be {listed}, got {got}. Give projectors the widths of both models."
        )
