"""Total variation: half the summed difference of probabilities; bounded by 1."""

from torch import Tensor

from limbeck.core.signals import TopK
from limbeck.objectives.outcomes import Tail, hinton_factor, outcomes


def total_variation(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    *,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: Tail = "bucket",
) -> Tensor:
    """Half of sum_i |p_i - q_i| per position.

    With e = sign(q - p), the gradient in the student's logits is q (e - sum_i q_i e_i) / (2 T).

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK.
        temperature: T, softens both sides; above 0, and 1 with a TopK.
        temperature_squared: multiply by T^2.
        tail: with a TopK, "bucket" (K + 1 outcomes, a lower bound) or "renormalise" (biased).

    Returns:
        [...], in [0, 1] (times T^2 if asked for), a share of mass; neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens or classes to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()  # (1/2, 1/2), (3/4, 1/4)
        >>> total_variation(student, teacher)
        tensor([0.2500])

    Source:
        Wen et al. 2023 (f-DISTILL), arXiv:2307.15190. We differ: the sum over the vocabulary at
        every position, not a sampled sequence-level estimate.
    """
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    distance = (log_q.exp() - log_p.exp()).abs().sum(-1) / 2
    return distance * hinton_factor(temperature, temperature_squared)
