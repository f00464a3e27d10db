"""Amari's alpha divergence: a path from reverse KL (alpha 0) to forward KL (alpha 1)."""

from torch import Tensor

from limbeck.core.checks import check_inside_fraction
from limbeck.core.signals import TopK
from limbeck.objectives.outcomes import Tail, hinton_factor, outcomes


def alpha_divergence(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    *,
    alpha: float,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: Tail = "bucket",
) -> Tensor:
    """(1 - sum_i p_i^alpha q_i^(1 - alpha)) / (alpha (1 - alpha)) per position, p the teacher.

    Tends to forward KL as alpha goes to 1 and to reverse KL as alpha goes to 0; at 1/2 it is four
    times the squared Hellinger distance. With w = p^alpha q^(1 - alpha) and W its sum, the
    gradient in the student's logits is (q W - w) / (alpha T).

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK.
        alpha: exponent of the teacher, in (0, 1). Near the ends rounding grows as
            1 / (alpha (1 - alpha)): use the KL itself there.
        temperature: T, softens both sides; above 0, and 1 with a TopK.
        temperature_squared: multiply by T^2.
        tail: with a TopK, "bucket" (K + 1 outcomes, a lower bound) or "renormalise" (biased).

    Returns:
        [...], at most 1 / (alpha (1 - alpha)); neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens or classes to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()  # (1/2, 1/2), (3/4, 1/4)
        >>> alpha_divergence(student, teacher, alpha=0.5)
        tensor([0.1363])

    Source:
        Amari's alpha family in the sign convention in which alpha = 1 is forward KL.
    """
    check_inside_fraction(alpha=alpha)
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    overlap = (alpha * log_p + (1 - alpha) * log_q).exp().sum(-1)
    return (1 - overlap) / (alpha * (1 - alpha)) * hinton_factor(temperature, temperature_squared)
