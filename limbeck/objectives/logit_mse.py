"""Mean squared error of raw class scores."""

from torch import Tensor

from limbeck.core.checks import check_same_shape
from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import TopK


def logit_mse(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Squared difference of the scores, mean over the classes.

    Unlike a divergence it sees a shift of all scores, so the student must be free to make one. The
    gradient in the student's scores is 2 (s - z) / C.

    Args:
        student_logits: s, [..., C], any float dtype; computed in float32.
        teacher_logits: z, [..., C], the same classes in the same order; not a TopK.

    Returns:
        [...], in squared units of the scores; neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, or the teacher is a TopK.

    Takes:
        Rows with tokens or classes to predict; a live teacher with the same ids, or an ensemble of live ones.

    Example:
        >>> import torch
        >>> logit_mse(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 3.0]]))
        tensor([5.])

    Source:
        Ba & Caruana 2014, arXiv:1312.6184; the default loss of Li et al. 2021 (lancopku/DynamicKD,
        `models/student.py`) and `KDMSELoss` of Sayan21/MAKD.
    """
    check_dense(teacher_logits, "logit_mse")
    check_same_shape(student_logits=student_logits, teacher_logits=teacher_logits)
    return (student_logits.float() - teacher_logits.detach().float()).square().mean(-1)


def check_dense(teacher_logits: Tensor | TopK, name: str) -> None:
    """Raise ObjectiveError where a stored teacher is given to an objective of raw scores."""
    if isinstance(teacher_logits, TopK):
        raise ObjectiveError(
            f"the teacher of {name} must give raw scores, got a stored top-k; log-probabilities have lost "
            "the scores' common shift. Let the teacher answer live."
        )
