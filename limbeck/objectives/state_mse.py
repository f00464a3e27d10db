"""Mean squared error of hidden states of matched layers."""

from torch import Tensor

from limbeck.core.checks import check_attention_mask, check_same_shape


def state_mse(student_states: Tensor, teacher_states: Tensor, attention_mask: Tensor) -> Tensor:
    """Squared difference of hidden states, mean over matched layers, tokens and width.

    Args:
        student_states: [B, M, T, D], any float dtype; computed in float32. A student of another
            width is projected to the teacher's before.
        teacher_states: [B, M, T, D].
        attention_mask: [B, T], 1 at tokens; at least one in every row.

    Returns:
        [B], in squared units of the states; not reduced over the batch.

    Raises:
        ObjectiveError: shapes differ, or a row has no token.

    Takes:
        Rows of any kind; a live teacher as wide as the student, and the pairs of layers.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 1, 2, 1), torch.tensor([[[[1.0], [9.0]]]])
        >>> state_mse(student, teacher, torch.tensor([[1, 0]]))  # the second token is padding
        tensor([1.])

    Source:
        The hidden-state part of Jiao et al. 2019 (TinyBERT), arXiv:1909.10351. We differ: padding
        is left out (the official loss counts it), and the mean runs over layers too (there a sum).
    """
    check_same_shape(student_states=student_states, teacher_states=teacher_states)
    check_attention_mask(attention_mask, student=student_states[:, 0], teacher=teacher_states[:, 0])
    is_token = attention_mask.bool()
    squared = (student_states.float() - teacher_states.detach().float()).square().mean((1, 3))
    return squared.masked_fill(~is_token, 0.0).sum(-1) / is_token.sum(-1)
