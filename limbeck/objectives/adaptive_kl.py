"""Adaptive KL: forward KL where the gap lies in the teacher's head, reverse KL where it lies in the tail."""

from typing import Literal

import torch
from torch import Tensor

from limbeck.core.checks import check_choice, check_inside_fraction
from limbeck.core.signals import TopK
from limbeck.objectives.head_mass import head_threshold
from limbeck.objectives.outcomes import Tail, hinton_factor, kl, outcomes


def adaptive_kl(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    *,
    mu: float = 0.5,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: Tail = "bucket",
    compat: Literal["paper", "released"] = "paper",
) -> Tensor:
    """w * KL(teacher || student) + (1 - w) * KL(student || teacher) per position.

    w is the share of sum_i |p_i - q_i| that lies in the head, the smallest set of most likely
    outcomes of the teacher with mass of at least mu (outcomes of equal probability enter
    together). w is a constant for autograd; it is 1/2 where student and teacher are equal.

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK. The
            bucket of a TopK counts as tail: the head is exact when the K ids hold mass mu; the
            tail's gap is the bucket's, a lower bound.
        mu: mass of the head, in (0, 1); 0.5 in the paper.
        temperature: T, softens both sides; above 0, and 1 with a TopK.
        temperature_squared: multiply by T^2.
        tail: with a TopK, "bucket" (K + 1 outcomes); "renormalise" makes the reverse KL infinite.
        compat: rule of the head. "released" leaves out the outcome that crosses mu, unless it is
            the first: the released numbers were made so.

    Returns:
        [...], in nats; neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens or classes to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()  # (1/2, 1/2), (3/4, 1/4)
        >>> adaptive_kl(student, teacher)  # half of the gap lies in the head
        tensor([0.1373])

    Source:
        Wu et al. 2024, arXiv:2404.02657; compat="released" follows wutaiqiang/LLM_KD_AKL,
        `AKL.py:get_ratio`. We differ: ties enter the head together, and 0 / 0 gives w = 1/2.
    """
    check_inside_fraction(mu=mu)
    check_choice(("paper", "released"), compat=compat)
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    with torch.no_grad():
        p = log_p.exp()
        in_head = _head(p, mu, compat, has_bucket=isinstance(teacher_logits, TopK))
        gap = (p - log_q.exp()).abs()
        head, total = (gap * in_head).sum(-1), gap.sum(-1)
        share = torch.where(total > 0, head / total, 0.5)
    divergence = share * kl(log_p, log_q) + (1 - share) * kl(log_q, log_p)
    return divergence * hinton_factor(temperature, temperature_squared)


def _head(p: Tensor, mu: float, compat: str, *, has_bucket: bool) -> Tensor:
    candidates = p[..., :-1] if has_bucket else p
    in_head = candidates >= head_threshold(candidates, mu, compat)
    return torch.cat([in_head, in_head.new_zeros(*in_head.shape[:-1], 1)], -1) if has_bucket else in_head
