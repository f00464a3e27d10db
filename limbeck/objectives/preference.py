"""Losses on pairs of answers, from the log-probabilities of whole sequences.

Pairs are [P, 2]: the chosen answer first, then the rejected one, as `task: preference` lays them out; the
mean runs over pairs. The reference of DPO and IPO is the step's teacher: the model that the student begins
as. REDI needs none of these: it is cross-entropy with weight 1 on the chosen answers and -alpha on the
rejected ones, each a mean over sequences.
"""

from typing import Annotated

from torch import Tensor
from torch.nn.functional import logsigmoid

from limbeck.core.checks import check_not_negative, check_positive, check_same_shape
from limbeck.objectives.units.pair import PAIR


def dpo(student_pairs: Tensor, teacher_pairs: Tensor, *, beta: float = 0.1) -> Annotated[Tensor, PAIR]:
    """-log sigmoid(beta * ((s_chosen - r_chosen) - (s_rejected - r_rejected))) per pair.

    Args:
        student_pairs: s, [P, 2], summed log-probabilities of the answers' tokens, the end included.
        teacher_pairs: r, [P, 2], the same under the reference, in this place a constant.
        beta: how far the student may leave the reference; above 0. 0.1 in most of the paper's experiments,
            0.01 in the current recipe of Zephyr, 0.001 best in REDI's comparison.

    Returns:
        [P], in nats; log 2 where student and reference agree.

    Raises:
        ObjectiveError: shapes differ, or beta is not above 0.

    Takes:
        Rows with a chosen and a rejected answer (`task: preference`); as teacher the reference, which is the
        model that the student begins as, live or as a store of hidden states.

    Example:
        >>> import torch
        >>> student, reference = torch.tensor([[-1.0, -4.0]]), torch.tensor([[-2.0, -3.0]])
        >>> dpo(student, reference)  # ahead by 2: log(1 + exp(-0.2))
        tensor([0.5981])

    Source:
        Rafailov et al. 2023, arXiv:2305.18290; TRL's `DPOTrainer` with loss type "sigmoid". Sums, not means.
    """
    check_positive(beta=beta)
    return -logsigmoid(beta * _lead(student_pairs, teacher_pairs))


def ipo(
    student_mean_pairs: Tensor, teacher_mean_pairs: Tensor, *, beta: float = 0.1
) -> Annotated[Tensor, PAIR]:
    """((s_chosen - r_chosen) - (s_rejected - r_rejected) - 1 / (2 beta))^2 per pair.

    DPO's lead is pulled to a value and not to infinity: pairs that are certain cannot drive the student ever
    further from its reference.

    Args:
        student_mean_pairs: s, [P, 2], mean log-probability of an answer's tokens, the end included.
        teacher_mean_pairs: r, [P, 2], the same under the reference, in this place a constant.
        beta: how far the student may leave the reference; above 0.

    Returns:
        [P], in nats squared; 1 / (4 beta^2) where student and reference agree.

    Raises:
        ObjectiveError: shapes differ, or beta is not above 0.

    Takes:
        Rows with a chosen and a rejected answer (`task: preference`); as teacher the reference, live or as a
        store of hidden states.

    Example:
        >>> import torch
        >>> student, reference = torch.tensor([[-1.0, -4.0]]), torch.tensor([[-2.0, -3.0]])
        >>> ipo(student, reference, beta=0.5)  # ahead by 2, wanted 1
        tensor([1.])

    Source:
        Azar et al. 2023, arXiv:2310.12036. Means over tokens as in TRL's `DPOTrainer` with loss type "ipo";
        the paper writes sums.
    """
    check_positive(beta=beta)
    return (_lead(student_mean_pairs, teacher_mean_pairs) - 1 / (2 * beta)).square()


def simpo(student_mean_pairs: Tensor, *, beta: float, gamma: float = 0.0) -> Annotated[Tensor, PAIR]:
    """-log sigmoid(beta * (s_chosen - s_rejected) - gamma) per pair.

    As beta -> 0 with gamma = 0, 2 (loss - log 2) / beta tends to -(s_chosen - s_rejected): REDI with
    alpha = 1, up to the step size.

    Args:
        student_mean_pairs: s, [P, 2], mean log-probability of an answer's tokens, the end included.
        beta: slope; above 0. 2 in REDI's comparison.
        gamma: the margin that the chosen answer must lead by, at least 0; 1 in REDI's comparison.

    Returns:
        [P], in nats.

    Raises:
        ObjectiveError: beta is not above 0, or gamma is below 0.

    Takes:
        Rows with a chosen and a rejected answer (`task: preference`); no teacher.

    Example:
        >>> import torch
        >>> simpo(torch.tensor([[-1.0, -1.0]]), beta=2.0)  # neither leads: log 2
        tensor([0.6931])

    Source:
        Meng et al. 2024, arXiv:2405.14734. Means, not sums; gamma as there (TRL divides it by beta first).
    """
    check_positive(beta=beta)
    check_not_negative(gamma=gamma)
    return -logsigmoid(beta * (student_mean_pairs[..., 0] - student_mean_pairs[..., 1]).float() - gamma)


def _lead(student: Tensor, reference: Tensor) -> Tensor:
    """[P] by how much the chosen answer has gained on the rejected one since the reference."""
    check_same_shape(student=student, reference=reference)
    gained = student.float() - reference.detach().float()
    return gained[..., 0] - gained[..., 1]
