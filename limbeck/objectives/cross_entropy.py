"""Cross-entropy with labels: learning without a teacher, or beside one."""

from torch import Tensor

from limbeck.core.errors import ObjectiveError
from limbeck.core.precision import wide


def cross_entropy(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Negative log-probability of the label per position.

    The gradient in the student's logits is q minus 1 at the label.

    Args:
        student_logits: [..., V] over the vocabulary, or [B, C] over classes, any float dtype;
            computed in float32.
        labels: [...], ids in [0, V); never the ignored value.

    Returns:
        [...], in nats; neither masked nor reduced.

    Raises:
        ObjectiveError: labels are not one id for each position.

    Takes:
        Rows with tokens or classes to predict; no teacher.

    Example:
        >>> import torch
        >>> cross_entropy(torch.zeros(1, 2), torch.tensor([0]))  # log 2
        tensor([0.6931])

    Source:
        Maximum likelihood. We differ from `torch.nn.functional.cross_entropy` in the layout
        (classes last) and in having no ignored value: positions are chosen outside.
    """
    if labels.shape != student_logits.shape[:-1]:
        raise ObjectiveError(
            f"labels must be {tuple(student_logits.shape[:-1])}, one id for each position of student_logits "
            f"{tuple(student_logits.shape)}, got {tuple(labels.shape)}."
        )
    s = wide(student_logits)
    return s.logsumexp(-1) - s.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
