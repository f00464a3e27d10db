"""Generalised Jensen-Shannon divergence: both sides against their mixture."""

from torch import Tensor

from limbeck.core.checks import check_inside_fraction
from limbeck.core.signals import TopK
from limbeck.objectives.outcomes import Tail, hinton_factor, kl, log_mixture, outcomes


def jsd(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    *,
    beta: float,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: Tail = "bucket",
) -> Tensor:
    """beta * KL(teacher || m) + (1 - beta) * KL(student || m), m = beta * teacher + (1 - beta) * student.

    Divided by beta it tends to forward KL as beta goes to 0; divided by 1 - beta it tends to
    reverse KL as beta goes to 1. The gradient in the student's logits is
    (1 - beta) q (log(q / m) - KL(q || m)) / T.

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK.
        beta: share of the teacher in the mixture, in (0, 1).
        temperature: T, softens both sides; above 0, and 1 with a TopK.
        temperature_squared: multiply by T^2.
        tail: with a TopK, "bucket" (K + 1 outcomes, a lower bound) or "renormalise" (biased).

    Returns:
        [...], in nats, at most the entropy of (beta, 1 - beta); neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens or classes to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()  # (1/2, 1/2), (3/4, 1/4)
        >>> jsd(student, teacher, beta=0.5)
        tensor([0.0338])

    Source:
        Agarwal et al. 2024 (GKD), arXiv:2306.13649. We differ: beta at 0 or 1 is refused; other
        code silently switches to forward or reverse KL there, at a scale that jumps.
    """
    check_inside_fraction(beta=beta)
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    log_m = log_mixture(log_p, log_q, beta)
    divergence = beta * kl(log_p, log_m) + (1 - beta) * kl(log_q, log_m)
    return divergence * hinton_factor(temperature, temperature_squared)
