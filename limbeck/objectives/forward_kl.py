"""Forward KL: the student must put mass wherever the teacher does."""

from torch import Tensor

from limbeck.core.signals import TopK
from limbeck.objectives.outcomes import DrawnTail, estimated_outcomes, hinton_factor, kl


def forward_kl(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    *,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: DrawnTail = "drawn",
) -> Tensor:
    """KL(teacher || student) per position: word-level distillation.

    With p = softmax(z / T) and q = softmax(s / T): sum_i p_i log(p_i / q_i). The gradient in
    the student's logits is (q - p) / T.

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK.
        temperature: T, softens both sides; above 0, and 1 with a TopK.
        temperature_squared: multiply by T^2, which keeps the size of the gradient as T grows.
        tail: with a TopK, "drawn" (ids drawn from the tail stand for it: value and gradient are right on
            average over the draws; a bucket where none were drawn), "bucket" (K + 1 outcomes, a lower
            bound) or "renormalise" (biased: the teacher gets no mass outside its K ids).

    Returns:
        [...], in nats; neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens or classes to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()  # (1/2, 1/2), (3/4, 1/4)
        >>> forward_kl(student, teacher)
        tensor([0.1308])

    Source:
        Hinton et al. 2015, arXiv:1503.02531. We differ: the KL, not the cross-entropy with the
        teacher, so identical inputs give 0 (gradients agree); T^2 only when asked for. Drawn ids:
        `outcomes.estimated_outcomes`.
    """
    log_q, log_p = estimated_outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    return kl(log_p, log_q) * hinton_factor(temperature, temperature_squared)
