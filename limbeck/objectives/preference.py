"""Losses on pairs of answers, from the log-probabilities of whole sequences.

They are the baselines of learning from wrong traces. The method itself, REDI, needs none of them: it is
cross-entropy with weight 1 on the chosen answers and -alpha on the rejected ones, each a mean over
sequences. Pairs are [P, 2]: the chosen answer first, then the rejected one.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from limbeck.core.checks import check_not_negative, check_positive, check_same_shape
from limbeck.core.errors import ObjectiveError


def dpo(student_pairs: Tensor, teacher_pairs: Tensor, *, beta: float) -> Tensor:
    """-log sigmoid(beta * ((s_chosen - r_chosen) - (s_rejected - r_rejected))) per pair.

    Args:
        student_pairs: s, [P, 2], summed log-probabilities of the answers' tokens, the end included.
        teacher_pairs: r, [P, 2], the same under the reference, in this place a constant.
        beta: how far the student may leave the reference; above 0. 0.001 is best in REDI's comparison.

    Returns:
        [P], in nats; log 2 where student and reference agree.

    Raises:
        ObjectiveError: shapes differ, or beta is not above 0.

    Source:
        Rafailov et al. 2023, arXiv:2305.18290. Sums, not means.
    """
    check_positive(beta=beta)
    check_same_shape(student_pairs=student_pairs, teacher_pairs=teacher_pairs)
    gained = student_pairs.float() - teacher_pairs.detach().float()
    return -logsigmoid(beta * (gained[..., 0] - gained[..., 1]))


def simpo(student_pairs: Tensor, *, beta: float, gamma: float = 0.0) -> Tensor:
    """-log sigmoid(beta * (s_chosen - s_rejected) - gamma) per pair.

    As beta -> 0 with gamma = 0, 2 (loss - log 2) / beta tends to -(s_chosen - s_rejected): REDI with
    alpha = 1, up to the step size.

    Args:
        student_pairs: s, [P, 2], mean log-probability of an answer's tokens, the end included.
        beta: slope; above 0. 2 in REDI's comparison.
        gamma: the margin that the chosen answer must lead by, at least 0; 1 in REDI's comparison.

    Returns:
        [P], in nats.

    Raises:
        ObjectiveError: beta is not above 0, or gamma is below 0.

    Source:
        Meng et al. 2024, arXiv:2405.14734. Means, not sums; gamma as there (TRL divides it by beta first).
    """
    check_positive(beta=beta)
    check_not_negative(gamma=gamma)
    return -logsigmoid(beta * (student_pairs[..., 0] - student_pairs[..., 1]).float() - gamma)


def pair_log_probs(log_probs: Tensor, loss_mask: Tensor, *, mean: bool) -> Tensor:
    """Log-probabilities of whole answers, pair by pair.

    Args:
        log_probs: [B, T] of the target at every position; anything where nothing is learnt.
        loss_mask: [B, T] True at the tokens of the answers. Rows come in pairs, the chosen answer first, as
            `task: preference` lays them out.
        mean: divide by the number of tokens.

    Returns:
        [B / 2, 2].

    Raises:
        ObjectiveError: the number of rows is odd, or the shapes differ.
    """
    check_same_shape(log_probs=log_probs, loss_mask=loss_mask)
    if log_probs.shape[0] % 2:
        raise ObjectiveError(
            f"pairs must come as two rows each, got {log_probs.shape[0]} rows. Set task: preference."
        )
    sums = torch.where(loss_mask, log_probs.float(), 0.0).sum(-1)
    return (sums / loss_mask.sum(-1).clamp_min(1) if mean else sums).view(-1, 2)
