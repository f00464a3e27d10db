"""Universal logit distillation: probabilities compared by rank, so that no word needs a counterpart."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from limbeck.core.checks import check_positive
from limbeck.core.errors import ObjectiveError
from limbeck.core.precision import wide
from limbeck.core.signals import TopK


def uld(student_logits: Tensor, teacher_own_logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    """sum_i |q_(i) - p_(i)| per position, over probabilities of both sides in descending order.

    The Wasserstein distance of two vocabularies in which every word is equally far from every other. The
    shorter side is filled with zeros. The gradient in the student's probability of rank i is
    sign(q_(i) - p_(i)), of one size however near the sides are.

    Args:
        student_logits: [..., V], any float dtype; computed in float32.
        teacher_own_logits: [..., V'], a teacher over a vocabulary of its own; a constant, not a TopK.
        temperature: softens both sides; above 0.

    Returns:
        [...], in [0, 2], without unit; neither masked nor reduced.

    Raises:
        ObjectiveError: the positions differ, the teacher is a TopK, or temperature is not positive.

    Takes:
        Rows with tokens to predict; a live teacher with any tokenizer.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[2.0, 1.0, 1.0]]).log()
        >>> uld(student, teacher)  # (1/2, 1/2, 0) against (1/2, 1/4, 1/4)
        tensor([0.5000])

    Source:
        Boizard et al. 2024, arXiv:2402.12030; parity with songmzhang/DSKD,
        `code/criterions/universal_logit_distillation.py:compute_universal_logit_distillation_loss`.
        We differ: which positions are compared is decided before (there both logits are rotated
        in place), and there is no temperature there.
    """
    if isinstance(teacher_own_logits, TopK):
        raise ObjectiveError(
            "the teacher of uld must give all logits, got a stored top-k; the ranks of its tail are lost. "
            "Let the teacher answer live."
        )
    if student_logits.shape[:-1] != teacher_own_logits.shape[:-1]:
        raise ObjectiveError(
            f"positions must be equal on both sides, got student {tuple(student_logits.shape[:-1])}, "
            f"teacher {tuple(teacher_own_logits.shape[:-1])}."
        )
    check_positive(temperature=temperature)
    q = _by_rank(student_logits, temperature)
    with torch.no_grad():
        p = _by_rank(teacher_own_logits, temperature)
    length = max(q.shape[-1], p.shape[-1])
    q, p = (pad(side, (0, length - side.shape[-1])) for side in (q, p))
    return (q - p).abs().sum(-1)


def _by_rank(logits: Tensor, temperature: float) -> Tensor:
    return (wide(logits) / temperature).softmax(-1).sort(-1, descending=True).values
