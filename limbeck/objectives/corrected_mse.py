"""Corrected MSE: class scores of the teacher, moved one step toward the label."""

import torch
from torch import Tensor

from limbeck.core.checks import check_inside_fraction, check_same_shape
from limbeck.objectives.logit_mse import check_dense

_LEAST_LOG = -20.0  # of the teacher's probability of the label, in a part of the value without gradient


def corrected_mse(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, *, smoothing: float = 0.0
) -> Tensor:
    """Mean over classes of p (s - z - (y / p - 1))^2, with p = softmax(z) and y the one-hot label.

    z + (y - p) / p is one Newton step of log p toward the label: where the teacher is wrong, its
    scores are corrected to first order before the student copies them. The gradient in the student's
    scores is 2 (p (s - z + 1) - y) / C: at s = z it is the gradient of the teacher's own
    cross-entropy, times 2 / C.

    Written with KL in the place of the squared error, the correction cancels the teacher: the sum is
    cross-entropy minus the teacher's entropy. Such a variant does not exist here.

    Args:
        student_logits: s, [..., C], any float dtype; computed in float32.
        teacher_logits: z, [..., C], the same classes in the same order; not a TopK.
        labels: [...], class ids in [0, C).
        smoothing: share of the uniform distribution mixed into p, in [0, 1). The value has a part
            1 / (C p_label) that a teacher sure of a wrong class makes huge (it is counted as if p_label
            were at least 2e-9); smoothing bounds it. The gradient is bounded in any case.

    Returns:
        [...], in squared units of the scores; neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, the teacher is a TopK, or smoothing is outside its range.

    Takes:
        Labelled rows; a live classifier with the same classes as the teacher.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.zeros(1, 2)
        >>> corrected_mse(student, teacher, torch.tensor([0]))  # corrected scores are (1, -1)
        tensor([0.5000])

    Source:
        Dasgupta, Cohn & Baldwin 2023, aclanthology 2023.findings-acl.463; Sayan21/MAKD,
        `Bert_KD.ipynb:KDMSEVarRedOrthoLoss`, mean over the classes as there. We differ: the notebook
        computes y / p, which overflows for a sure teacher.
    """
    check_dense(teacher_logits, "corrected_mse")
    check_same_shape(student_logits=student_logits, teacher_logits=teacher_logits)
    if smoothing:
        check_inside_fraction(smoothing=smoothing)
    s, z = student_logits.float(), teacher_logits.detach().float()
    classes = s.shape[-1]
    log_p = z.log_softmax(-1)
    p = log_p.exp() * (1 - smoothing) + smoothing / classes
    label = labels.unsqueeze(-1)
    distance = s - z + 1
    # p (d - y / p)^2 = p d^2 - 2 y d + y / p, of which the last has no gradient.
    total = (p * distance.square()).sum(-1) - 2 * distance.gather(-1, label).squeeze(-1)
    return (total + inverse_weight(log_p.gather(-1, label).squeeze(-1), smoothing, classes)) / classes


def inverse_weight(log_p: Tensor, smoothing: float, classes: int) -> Tensor:
    """1 / p of the label, smoothed, for its log-probability under the teacher."""
    p = log_p.clamp(min=_LEAST_LOG).exp() * (1 - smoothing) + smoothing / classes
    return torch.reciprocal(p)
