"""Skew forward KL: forward KL whose denominator holds a little of the teacher, so it stays bounded."""

from torch import Tensor

from limbeck.core.checks import check_fraction
from limbeck.core.signals import TopK
from limbeck.objectives.outcomes import Tail, hinton_factor, kl, log_mixture, outcomes


def skew_forward_kl(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    *,
    alpha: float,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: Tail = "bucket",
) -> Tensor:
    """KL(teacher || alpha * teacher + (1 - alpha) * student) per position.

    At alpha = 0 it is forward KL, at alpha = 1 it is 0. It never exceeds -log(alpha). The
    gradient in the student's logits is (1 - alpha) q (sum_i q_i p_i / m_i - p / m) / T.

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK.
        alpha: share of the teacher in the mixture, in [0, 1]; 0.1 in the paper.
        temperature: T, softens both sides; above 0, and 1 with a TopK.
        temperature_squared: multiply by T^2.
        tail: with a TopK, "bucket" (K + 1 outcomes, a lower bound) or "renormalise" (biased).

    Returns:
        [...], in nats; neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens or classes to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()  # (1/2, 1/2), (3/4, 1/4)
        >>> skew_forward_kl(student, teacher, alpha=0.5)
        tensor([0.0354])

    Source:
        Ko et al. 2024 (DistiLLM), arXiv:2402.03898, `distillm/losses.py:skewed_forward_kl`. We
        differ: the official value leaves out the teacher's entropy (gradients agree).
    """
    check_fraction(alpha=alpha)
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    return kl(log_p, log_mixture(log_p, log_q, alpha)) * hinton_factor(temperature, temperature_squared)
