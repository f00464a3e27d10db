"""Reverse KL: the student must not put mass where the teacher has none."""

from torch import Tensor

from limbeck.core.signals import TopK
from limbeck.objectives.outcomes import Tail, hinton_factor, kl, outcomes


def reverse_kl(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    *,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: Tail = "bucket",
) -> Tensor:
    """KL(student || teacher) per position.

    With p = softmax(z / T) and q = softmax(s / T): L = sum_i q_i log(q_i / p_i). The gradient
    in the student's logits is q (log(q / p) - L) / T.

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK.
        temperature: T, softens both sides; above 0, and 1 with a TopK.
        temperature_squared: multiply by T^2.
        tail: with a TopK, "bucket" (K + 1 outcomes, a lower bound); "renormalise" makes the value
            infinite wherever the student has mass outside the K ids.

    Returns:
        [...], in nats; neither masked nor reduced. Infinite where the student has mass on an
        outcome to which the teacher gives none.

    Raises:
        ObjectiveError: shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens or classes to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()  # (1/2, 1/2), (3/4, 1/4)
        >>> reverse_kl(student, teacher)
        tensor([0.1438])

    Source:
        Gu et al. 2024, arXiv:2306.08543, its exact single step. We differ: no policy gradient
        here, and the sequences may come from anywhere.
    """
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    return kl(log_q, log_p) * hinton_factor(temperature, temperature_squared)
