"""MiniLMv2: the student's self-attention relations must match the teacher's, whatever the widths."""

import math

import torch
from torch import Tensor

from limbeck.core.checks import check_attention_mask
from limbeck.core.errors import ObjectiveError
from limbeck.core.signals.qkv import QKV
from limbeck.objectives.outcomes import kl


def relation_kl(student_qkv: QKV, teacher_qkv: QKV, attention_mask: Tensor, *, relation_heads: int) -> Tensor:
    """KL(teacher || student) of query-query, key-key and value-value relations, averaged.

    For X one of queries, keys, values, split into A relation heads of width d: the relation of a
    head is softmax(X X^T / sqrt(d)) [T, T], over the columns that are tokens. The mean runs over
    the three kinds, the A heads and the rows that are tokens.

    Args:
        student_qkv: queries, keys, values of one attention layer, each [B, T, Ds].
        teacher_qkv: the same of the teacher, each [B, T, Dt]; widths may differ.
        attention_mask: [B, T], 1 at tokens; at least one in every row.
        relation_heads: A; must divide Ds and Dt; 48 for base models in the paper.

    Returns:
        [B], in nats; not reduced over the batch.

    Raises:
        ObjectiveError: shapes differ, A does not divide a width, or a row has no token.

    Takes:
        Rows of any kind, targets unread; a live teacher with query, key and value projections.

    Example:
        >>> import math
        >>> import torch
        >>> from limbeck.core.signals.qkv import QKV
        >>> student, teacher = torch.zeros(1, 2, 1), torch.tensor([[[math.log(3) ** 0.5], [0.0]]])
        >>> relation_kl(QKV(*[student] * 3), QKV(*[teacher] * 3), torch.ones(1, 2), relation_heads=1)
        tensor([0.0654])

    Source:
        Wang et al. 2020 (MiniLMv2), arXiv:2012.15828; training code in bloomberg/minilmv2.bb,
        `minilmv2/minilmv2.py`. We differ: unreduced over the batch.
    """
    check_attention_mask(attention_mask, student=student_qkv.queries, teacher=teacher_qkv.queries)
    for name, width in (
        ("student", student_qkv.queries.shape[-1]),
        ("teacher", teacher_qkv.queries.shape[-1]),
    ):
        if relation_heads < 1 or width % relation_heads:
            raise ObjectiveError(
                f"relation_heads must divide the {name}'s width {width}, got {relation_heads}."
            )
    is_token = attention_mask.bool()
    per_kind = []
    for student, teacher in zip(student_qkv, teacher_qkv, strict=True):
        log_q = _log_relations(student, is_token, relation_heads)
        log_p = _log_relations(teacher.detach(), is_token, relation_heads)
        per_query = kl(log_p, log_q).mean(1).masked_fill(~is_token, 0.0)
        per_kind.append(per_query.sum(-1) / is_token.sum(-1))
    return torch.stack(per_kind).mean(0)


def _log_relations(states: Tensor, is_token: Tensor, heads: int) -> Tensor:
    """[B, A, T, T]; columns at padding are -inf."""
    rows, positions, width = states.shape
    split = states.float().reshape(rows, positions, heads, width // heads).transpose(1, 2)
    scores = split @ split.transpose(-1, -2) / math.sqrt(width // heads)
    return scores.masked_fill(~is_token[:, None, None, :], -math.inf).log_softmax(-1)
