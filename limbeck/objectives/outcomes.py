"""What every divergence starts from: log-probabilities of student and teacher over the same outcomes.

Outcomes are the V vocabulary entries, or, for a stored teacher, its K ids and one bucket
for all others, or ids drawn from among them. A divergence is written once, over outcomes, and serves all.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from limbeck.core.checks import check_choice, check_positive, check_same_shape
from limbeck.core.errors import ObjectiveError
from limbeck.core.precision import wide
from limbeck.core.signals import TopK

Tail = Literal["bucket", "renormalise"]
DrawnTail = Literal["drawn", "bucket", "renormalise"]


def outcomes(
    student_logits: Tensor, teacher_logits: Tensor | TopK, *, temperature: float, tail: Tail
) -> tuple[Tensor, Tensor]:
    """Log-probabilities (student, teacher) over O outcomes, in float32; the teacher's are constants.

    Args:
        student_logits: [..., V].
        teacher_logits: [..., V] logits, or a TopK whose leading shape is that of the student.
        temperature: divides both sides' logits; 1 for a TopK.
        tail: "bucket" gathers all ids outside the TopK into one outcome: any f-divergence over
            these K + 1 outcomes is a lower bound of the full one and does not decrease in K.
            "renormalise" pretends that the teacher has no mass outside its K ids: biased, its
            optimum is a student that is too sure.

    Returns:
        log_q, log_p: [..., O] with O = V, or K + 1 (the bucket last). The student's
        log-sum-exp always runs over the full vocabulary.

    Raises:
        ObjectiveError: shapes differ, temperature is not positive, or a TopK meets a temperature
            other than 1.
    """
    check_positive(temperature=temperature)
    check_choice(("bucket", "renormalise"), tail=tail)
    if isinstance(teacher_logits, TopK):
        return _over_stored(student_logits, teacher_logits, temperature, tail)
    check_same_shape(student_logits=student_logits, teacher_logits=teacher_logits)
    log_q = (wide(student_logits) / temperature).log_softmax(-1)
    log_p = (wide(teacher_logits.detach()) / temperature).log_softmax(-1)
    return log_q, log_p


def estimated_outcomes(
    student_logits: Tensor, teacher_logits: Tensor | TopK, *, temperature: float, tail: DrawnTail
) -> tuple[Tensor, Tensor]:
    """As `outcomes`, with the ids that were drawn from a stored teacher's tail in the place of its bucket.

    S ids drawn in proportion to p stand for tail / S each. With p_s as the true probability of such an
    id, its outcome has the masses tail / S and q_s tail / (S p_s), so that forward KL over the outcomes adds
    tail / S (log p_s - log q_s): its mean over the draws is what the whole tail adds, in value and gradient.
    Where nothing was drawn, there is a bucket.

    Args:
        student_logits: [..., V].
        teacher_logits: [..., V] logits, or a TopK whose leading shape is that of the student.
        temperature: divides both sides' logits; 1 for a TopK.
        tail: "drawn", or as in `outcomes`.

    Returns:
        log_q, log_p: [..., O] with O = V, K + 1, or K + 1 + S. The masses of log_q over K + 1 + S outcomes
        add up to 1 only on average.

    Raises:
        ObjectiveError: as `outcomes`.

    Source:
        Anshumann et al. 2025, arXiv:2503.16870, who draw all ids, with replacement and weights. We
        differ: the likeliest ids are kept, and only the tail is drawn.
    """
    check_choice(("drawn", "bucket", "renormalise"), tail=tail)
    kept: Tail = "bucket" if tail == "drawn" else tail
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=kept)
    if tail != "drawn" or not isinstance(teacher_logits, TopK) or teacher_logits.drawn_ids is None:
        return log_q, log_p
    assert teacher_logits.drawn_log_probs is not None
    ids, absent = named_ids(teacher_logits.drawn_ids, teacher_logits.drawn_log_probs, teacher_logits.ids)
    drawn = (~absent).sum(-1, keepdim=True)
    s = wide(student_logits)
    log_q_drawn = s.gather(-1, ids) - s.logsumexp(-1, keepdim=True)
    log_p_drawn = wide(teacher_logits.drawn_log_probs.detach()).masked_fill(absent, 0.0)
    log_share = log_p[..., -1:] - drawn.clamp_min(1).to(log_p.dtype).log()
    log_q = torch.cat([log_q, log_q_drawn + log_share - log_p_drawn], -1)
    in_bucket = log_p[..., -1:].masked_fill(drawn > 0, -math.inf)
    shares = log_share.expand_as(log_p_drawn).masked_fill(absent, -math.inf)
    return log_q, torch.cat([log_p[..., :-1], in_bucket, shares], -1)


def outcome_of(labels: Tensor, teacher_logits: Tensor | TopK) -> Tensor:
    """Index of the outcome that holds each label, [...]: the id, its place in the TopK, or the bucket."""
    if not isinstance(teacher_logits, TopK):
        return labels
    is_label = teacher_logits.ids == labels.unsqueeze(-1)
    bucket = torch.full_like(labels, teacher_logits.ids.shape[-1])
    return torch.where(is_label.any(-1), is_label.int().argmax(-1), bucket)


def outcome_ids(topk: TopK) -> tuple[Tensor, Tensor]:
    """Kept, then drawn ids of a TopK, empty places named after the first id, and where these places are.

    Positions may have fewer than K ids: a place whose log-probability is -inf is no outcome. Named after
    the first id, such places are written over without harm.
    """
    ids, absent = named_ids(topk.ids, topk.log_probs, topk.ids)
    if topk.drawn_ids is None or topk.drawn_log_probs is None:
        return ids, absent
    drawn, is_nothing = named_ids(topk.drawn_ids, topk.drawn_log_probs, topk.ids)
    return torch.cat([ids, drawn], -1), torch.cat([absent, is_nothing], -1)


def named_ids(ids: Tensor, log_probs: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Ids with the empty places, whose log-probability is -inf, named after the first one kept."""
    absent = torch.isneginf(log_probs)
    return torch.where(absent, kept[..., :1], ids), absent


def kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a || b) over the last dimension, in nats; an outcome without mass in a adds exactly 0."""
    a = log_a.exp()
    return (a * (log_a - log_b).masked_fill(a == 0, 0.0)).sum(-1)


def entropy(log_a: Tensor) -> Tensor:
    """Entropy of a over the last dimension, in nats."""
    a = log_a.exp()
    return -(a * log_a.masked_fill(a == 0, 0.0)).sum(-1)


def log_mixture(log_a: Tensor, log_b: Tensor, share: float) -> Tensor:
    """Log of share * a + (1 - share) * b, outcome by outcome; log space, so that nothing underflows."""
    log_a = log_a + (math.log(share) if share > 0 else -math.inf)
    log_b = log_b + (math.log1p(-share) if share < 1 else -math.inf)
    absent = torch.isneginf(log_a) & torch.isneginf(log_b)  # logaddexp has a NaN gradient there
    mixture = torch.logaddexp(log_a.masked_fill(absent, 0.0), log_b.masked_fill(absent, 0.0))
    return mixture.masked_fill(absent, -math.inf)


def log_sum_exp(values: Tensor) -> Tensor:
    """logsumexp over the last dimension whose gradient is 0, not NaN, where every value is -inf."""
    empty = torch.isneginf(values).all(-1)
    return values.masked_fill(empty.unsqueeze(-1), 0.0).logsumexp(-1).masked_fill(empty, -math.inf)


def hinton_factor(temperature: float, temperature_squared: bool) -> float:
    """Hinton's T^2, which keeps gradients of one size as T grows; 1 when switched off."""
    return temperature**2 if temperature_squared else 1.0


def _over_stored(student_logits: Tensor, topk: TopK, temperature: float, tail: Tail) -> tuple[Tensor, Tensor]:
    if temperature != 1:
        raise ObjectiveError(
            f"temperature must be 1 with a stored top-k teacher, got {temperature}; the mass of its tail at "
            "another temperature cannot be recovered. Use a teacher that gives logits or hidden states."
        )
    leading = student_logits.shape[:-1]
    shapes = (topk.ids.shape[:-1], topk.log_probs.shape[:-1], topk.log_tail.shape)
    if any(shape != leading for shape in shapes) or topk.ids.shape != topk.log_probs.shape:
        raise ObjectiveError(
            f"teacher top-k must be ids and log_probs {(*leading, 'K')} and log_tail {tuple(leading)}, got "
            f"{tuple(topk.ids.shape)}, {tuple(topk.log_probs.shape)} and {tuple(topk.log_tail.shape)}."
        )
    log_p, log_tail = wide(topk.log_probs.detach()), wide(topk.log_tail.detach())
    if tail == "renormalise":
        log_p, log_tail = log_p.log_softmax(-1), torch.full_like(log_tail, -math.inf)
    s = wide(student_logits)
    ids, absent = named_ids(topk.ids, topk.log_probs, topk.ids)
    # The bucket's student mass is summed over its own logits: 1 - sum(q) would lose it.
    log_q_tail = log_sum_exp(s.scatter(-1, ids, -math.inf))
    kept = s.gather(-1, ids).masked_fill(absent, -math.inf)
    log_q = torch.cat([kept, log_q_tail.unsqueeze(-1)], -1) - s.logsumexp(-1, keepdim=True)
    return log_q, torch.cat([log_p, log_tail.unsqueeze(-1)], -1)
