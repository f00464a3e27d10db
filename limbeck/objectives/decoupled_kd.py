"""Decoupled distillation: the label against the rest, and the rest among itself, each with its weight."""

import math

import torch
from torch import Tensor

from limbeck.core.checks import check_not_negative
from limbeck.core.signals import TopK
from limbeck.objectives.outcomes import Tail, hinton_factor, kl, log_sum_exp, outcome_of, outcomes


def decoupled_kd(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    labels: Tensor,
    *,
    alpha: float,
    beta: float,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: Tail = "bucket",
) -> Tensor:
    """alpha * TCKD + beta * NCKD per position.

    TCKD is KL(teacher || student) over the two outcomes label and not label. NCKD is
    KL(teacher || student) over all outcomes but the label, both sides renormalised. They recompose:
    KL(teacher || student) = TCKD + (1 - p_label) * NCKD.

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK; a label
            outside the K ids stands for the whole bucket.
        labels: [...], ids in [0, V); never the ignored value.
        alpha: weight of TCKD, at least 0; 1 in the paper.
        beta: weight of NCKD, at least 0; tuned per pair in the paper.
        temperature: T, softens both sides; above 0, and 1 with a TopK.
        temperature_squared: multiply by T^2, as the paper does.
        tail: with a TopK, "bucket" (K + 1 outcomes) or "renormalise" (biased).

    Returns:
        [...], in nats; neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens or classes to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[2.0, 1.0, 1.0]]).log(), torch.tensor([[4.0, 3.0, 1.0]]).log()
        >>> decoupled_kd(student, teacher, torch.tensor([0]), alpha=1.0, beta=2.0)  # TCKD 0, NCKD 0.1308
        tensor([0.2616])

    Source:
        Zhao et al. 2022, arXiv:2203.08679.
    """
    check_not_negative(alpha=alpha, beta=beta)
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    target = outcome_of(labels, teacher_logits).unsqueeze(-1)
    pair_q, rest_q = _decoupled(log_q, target)
    pair_p, rest_p = _decoupled(log_p, target)
    divergence = alpha * kl(pair_p, pair_q) + beta * kl(rest_p, rest_q)
    return divergence * hinton_factor(temperature, temperature_squared)


def _decoupled(log_probs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of (label, not label) [..., 2], and of each outcome given not the label."""
    others = log_probs.scatter(-1, target, -math.inf)
    log_rest = log_sum_exp(others).unsqueeze(-1)
    pair = torch.cat([log_probs.gather(-1, target), log_rest], -1)
    return pair, others - log_rest.clamp(min=torch.finfo(others.dtype).min)
