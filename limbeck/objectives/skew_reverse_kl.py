"""Skew reverse KL: reverse KL whose denominator holds a little of the student, so it stays bounded."""

from typing import Literal

from torch import Tensor

from limbeck.core.checks import check_choice, check_fraction
from limbeck.core.signals import TopK
from limbeck.objectives.outcomes import Tail, hinton_factor, kl, log_mixture, outcomes


def skew_reverse_kl(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    *,
    alpha: float,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: Tail = "bucket",
    compat: Literal["paper", "released"] = "paper",
) -> Tensor:
    """KL(student || (1 - alpha) * teacher + alpha * student) per position.

    At alpha = 0 it is reverse KL, at alpha = 1 it is 0. It never exceeds -log(alpha). With
    r = q / m, the gradient in the student's logits is
    q (log r - alpha r - L + alpha sum_i q_i r_i) / T; with compat="released", q (log r - L) / T.

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK.
        alpha: share of the student in the mixture, in [0, 1]; 0.1 in the paper.
        temperature: T, softens both sides; above 0, and 1 with a TopK.
        temperature_squared: multiply by T^2.
        tail: with a TopK, "bucket" (K + 1 outcomes, a lower bound) or "renormalise" (biased).
        compat: "released" holds the student inside the mixture constant, as DistiLLM-2's code
            does; the value is the same.

    Returns:
        [...], in nats; neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens or classes to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()  # (1/2, 1/2), (3/4, 1/4)
        >>> skew_reverse_kl(student, teacher, alpha=0.5)
        tensor([0.0323])

    Source:
        Ko et al. 2024 (DistiLLM), arXiv:2402.03898, `distillm/losses.py:skewed_reverse_kl`;
        the constant mixture from Ko et al. 2025 (DistiLLM-2), arXiv:2503.07067.
    """
    check_fraction(alpha=alpha)
    check_choice(("paper", "released"), compat=compat)
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    log_m = log_mixture(log_q.detach() if compat == "released" else log_q, log_p, alpha)
    return kl(log_q, log_m) * hinton_factor(temperature, temperature_squared)
