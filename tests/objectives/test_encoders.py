"""Objectives on states and relations: by a plain loop, by hand, and what must not matter."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.core.signals.qkv import QKV
from limbeck.objectives import patient, relation_kl, state_mse
from tests.objectives.worked import logits

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


def qkv(width: int, seed: int) -> QKV:
    return QKV(*(logits(2, 4, width, seed=seed + i) for i in range(3)))


def test_relation_kl_equals_a_loop_over_rows_heads_and_kinds():
    student, teacher, heads = qkv(6, seed=0), qkv(12, seed=10), 3
    expected = []
    for row, length in enumerate((4, 2)):
        total = 0.0
        for ours, theirs in zip(student, teacher, strict=True):
            for head in range(heads):
                x = ours[row, :length, 2 * head : 2 * head + 2]
                y = theirs[row, :length, 4 * head : 4 * head + 4]
                q, p = (x @ x.T / math.sqrt(2)).softmax(-1), (y @ y.T / math.sqrt(4)).softmax(-1)
                total += float((p * (p / q).log()).sum()) / (3 * heads * length)
        expected.append(total)
    found = relation_kl(student, teacher, MASK, relation_heads=heads)
    torch.testing.assert_close(found, torch.tensor(expected))


def test_relation_kl_is_zero_between_equal_sides_and_knows_which_head_is_which():
    one = qkv(8, seed=0)
    torch.testing.assert_close(
        relation_kl(one, one, MASK, relation_heads=2), torch.zeros(2), atol=1e-6, rtol=0
    )
    swapped = QKV(*(part.roll(4, -1) for part in one))
    assert (relation_kl(swapped, one, MASK, relation_heads=2) > 1e-3).all()
    other, turned = qkv(8, seed=5), QKV(*(part.roll(4, -1) for part in qkv(8, seed=5)))
    torch.testing.assert_close(
        relation_kl(swapped, turned, MASK, relation_heads=2), relation_kl(one, other, MASK, relation_heads=2)
    )


def test_relation_kl_does_not_see_padding():
    student, teacher = qkv(6, seed=0), qkv(6, seed=10)
    other = QKV(*(part.masked_fill(~MASK.bool()[:, :, None], 1e4).requires_grad_() for part in student))
    found = relation_kl(other, teacher, MASK, relation_heads=2)
    torch.testing.assert_close(found, relation_kl(student, teacher, MASK, relation_heads=2))
    found.sum().backward()
    assert all(part.grad.isfinite().all() and (part.grad[1, 2:] == 0).all() for part in other)


def test_relation_kl_refuses_heads_that_do_not_divide_a_width():
    with pytest.raises(ObjectiveError, match="relation_heads must divide the teacher's width 9, got 2"):
        relation_kl(qkv(6, seed=0), qkv(9, seed=1), MASK, relation_heads=2)


def test_patient_of_orthogonal_summaries_is_2_over_the_width():
    student, teacher = torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4)
    student[..., 0], teacher[..., 1] = 3.0, 5.0
    found = patient(student, teacher, torch.ones(1, 2))
    torch.testing.assert_close(found, torch.tensor([2 / 4]))


def test_patient_does_not_see_scale():
    student, teacher = logits(2, 3, 4, 8, seed=0), logits(2, 3, 4, 8, seed=1)
    torch.testing.assert_close(patient(7 * student, teacher, MASK), patient(student, teacher, MASK))


def test_patient_pools_the_first_position_or_the_tokens_alone():
    student, teacher = logits(2, 3, 4, 8, seed=0), logits(2, 3, 4, 8, seed=1)
    padded = student.clone()
    padded[1, :, 2:] = 1e6
    for pool in ("cls", "mean"):
        torch.testing.assert_close(
            patient(padded, teacher, MASK, pool=pool), patient(student, teacher, MASK, pool=pool)
        )
    later = student.clone()
    later[:, :, 1] += 1
    torch.testing.assert_close(patient(later, teacher, MASK), patient(student, teacher, MASK))
    assert (patient(later, teacher, MASK, pool="mean") != patient(student, teacher, MASK, pool="mean")).all()


def test_state_mse_is_the_mean_over_layers_tokens_and_width():
    student, teacher = torch.zeros(2, 2, 4, 3), torch.zeros(2, 2, 4, 3)
    student[0, 0, 0, 0] = 6.0  # 36 over 2 layers, 4 tokens, width 3
    student[1, :, 2:] = 99.0  # padding
    student[1, 1, 1, 2] = 6.0  # 36 over 2 layers, 2 tokens, width 3
    torch.testing.assert_close(state_mse(student, teacher, MASK), torch.tensor([1.5, 3.0]))


@pytest.mark.parametrize("objective", [patient, state_mse])
def test_states_of_other_shapes_and_rows_without_tokens_are_refused(objective):
    with pytest.raises(ObjectiveError, match=r"student_states \(2, 3, 4, 8\), teacher_states \(2, 3, 4, 6\)"):
        objective(torch.zeros(2, 3, 4, 8), torch.zeros(2, 3, 4, 6), MASK)
    with pytest.raises(ObjectiveError, match="must have a token in every row"):
        objective(torch.zeros(2, 3, 4, 8), torch.zeros(2, 3, 4, 8), MASK * torch.tensor([[1], [0]]))


@pytest.mark.parametrize("objective", [patient, state_mse])
def test_nothing_flows_to_the_teachers_states(objective):
    student, teacher = (
        logits(2, 3, 4, 8, seed=0).requires_grad_(),
        logits(2, 3, 4, 8, seed=1).requires_grad_(),
    )
    objective(student, teacher, MASK).sum().backward()
    assert teacher.grad is None and student.grad is not None
