"""TAID: forward KL toward a target that slides from the student to the teacher."""

from typing import Literal

from torch import Tensor

from limbeck.core.checks import check_choice, check_fraction
from limbeck.core.signals import TopK
from limbeck.objectives.outcomes import Tail, entropy, hinton_factor, kl, outcomes


def taid(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    *,
    t: float,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: Tail = "bucket",
    compat: Literal["paper", "released"] = "paper",
) -> Tensor:
    """KL(target || student) per position, with target = softmax(((1 - t) * sg(s) + t * z) / T).

    At t = 0 the target is the student itself: loss and gradient are zero. At t = 1 it
    is the teacher: plain forward KL. The target is a constant for autograd, so the
    gradient in the student's logits is (softmax(s / T) - target) / T.

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK. Outside
            the K ids z is taken to be sg(s) + c, c set by the tail's mass: within the bucket the
            target follows the student.
        t: share of the teacher in the target, in [0, 1]. Scheduled in the paper
            (`schedules.feedback.adaptive_interpolation`).
        temperature: T, softens both sides; above 0, and 1 with a TopK. The paper has none.
        temperature_squared: multiply by T^2.
        tail: with a TopK, "bucket" or "renormalise" (biased: no target outside the K ids).
        compat: "released" adds the target's entropy to the value, a constant for autograd: what the
            official code's schedule of t watches.

    Returns:
        [...], in nats; neither masked nor reduced.

    Raises:
        ObjectiveError: the shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens or classes to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[9.0, 1.0]]).log()
        >>> taid(student, teacher, t=0.5)  # halfway: the target is (3/4, 1/4)
        tensor([0.1308])

    Source:
        Shing et al. 2025, arXiv:2501.16937; parity with SakanaAI/TAID,
        `distil_losses/taid.py:TAID.compute_loss`, up to the target's entropy: the
        official value is a cross-entropy (`compat`), so it does not reach 0; gradients agree.
    """
    check_fraction(t=t)
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    check_choice(("paper", "released"), compat=compat)
    target = _target(log_q.detach(), log_p, t)
    value = kl(target, log_q) if compat == "paper" else kl(target, log_q) + entropy(target)
    return value * hinton_factor(temperature, temperature_squared)


def _target(log_q: Tensor, log_p: Tensor, t: float) -> Tensor:
    if t in (0, 1):  # 0 * -inf is NaN
        return log_p if t else log_q
    return ((1 - t) * log_q + t * log_p).log_softmax(-1)
