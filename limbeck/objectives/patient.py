"""Patient KD: summaries of matched layers must point in the same direction."""

from typing import Literal

from torch import Tensor
from torch.nn.functional import normalize

from limbeck.core.checks import check_attention_mask, check_choice, check_same_shape


def patient(
    student_states: Tensor,
    teacher_states: Tensor,
    attention_mask: Tensor,
    *,
    pool: Literal["cls", "mean"] = "cls",
) -> Tensor:
    """Squared difference of L2-normalised summaries, mean over matched layers and width.

    The scale of either side has no influence; for orthogonal summaries the value is 2 / D.

    Args:
        student_states: [B, M, T, D], any float dtype; computed in float32.
        teacher_states: [B, M, T, D].
        attention_mask: [B, T], 1 at tokens; at least one in every row.
        pool: "cls" takes the first position, as the paper; "mean" the mean over tokens, for
            models without a summary token.

    Returns:
        [B], in units of the normalised states; not reduced over the batch.

    Raises:
        ObjectiveError: shapes differ, a row has no token, or `pool` is unknown.

    Takes:
        Rows of any kind; a live teacher as wide as the student, and the pairs of layers.

    Example:
        >>> import torch
        >>> student, teacher = torch.tensor([[[[2.0, 0.0]]]]), torch.tensor([[[[0.0, 5.0]]]])
        >>> patient(student, teacher, torch.ones(1, 1))  # orthogonal: 2 / D
        tensor([1.])

    Source:
        Sun et al. 2019, arXiv:1908.09355, `src/KD_loss.py`: the mean over D as there, so that the
        paper's weights (beta = 500) apply; a sum over D would be D times larger. We differ:
        float32 where the official code casts to half.
    """
    check_choice(("cls", "mean"), pool=pool)
    check_same_shape(student_states=student_states, teacher_states=teacher_states)
    check_attention_mask(attention_mask, student=student_states[:, 0], teacher=teacher_states[:, 0])
    student = normalize(_summary(student_states.float(), attention_mask, pool), dim=-1)
    teacher = normalize(_summary(teacher_states.detach().float(), attention_mask, pool), dim=-1)
    return (student - teacher).square().mean((1, 2))


def _summary(states: Tensor, attention_mask: Tensor, pool: str) -> Tensor:
    """[B, M, D]."""
    if pool == "cls":
        return states[:, :, 0]
    is_token = attention_mask.bool()[:, None, :, None]
    return states.masked_fill(~is_token, 0.0).sum(2) / is_token.sum(2)
