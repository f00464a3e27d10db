"""Errors of states in units of the teacher's channels, and the projection between widths."""

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.objectives import chunk_state_mse
from limbeck.objectives.trainable import projection
from tests.objectives.worked import logits

STUDENT = torch.tensor([[[1.0, 0.0]], [[2.0, 1.0]]])  # two chunks, one layer, two channels
TEACHER = torch.tensor([[[2.0, 1.0]], [[0.0, 3.0]]])


def test_matches_values_worked_out_by_hand():
    # Mean squares of the channels are 2 and 5: (1/2 + 1/5) / 2 and (4/2 + 4/5) / 2; of both, 3.5.
    torch.testing.assert_close(chunk_state_mse(STUDENT, TEACHER), torch.tensor([0.35, 1.4]))
    found = chunk_state_mse(STUDENT, TEACHER, normalise="layer")
    torch.testing.assert_close(found, torch.tensor([1 / 3.5, 4 / 3.5]))


def test_each_layer_has_units_of_its_own():
    student, teacher = (torch.cat([x, 10 * x], 1) for x in (STUDENT, TEACHER))
    for normalise in ("channel", "layer"):
        alone = chunk_state_mse(STUDENT, TEACHER, normalise=normalise)
        torch.testing.assert_close(chunk_state_mse(student, teacher, normalise=normalise), alone)


def test_states_of_0_are_at_distance_1_on_average_and_the_teachers_own_at_0():
    teacher = logits(9, 2, 6, seed=0)
    found = chunk_state_mse(torch.zeros(9, 2, 6), teacher).mean()
    torch.testing.assert_close(found, torch.tensor(1.0))
    assert (chunk_state_mse(teacher.clone(), teacher) == 0).all()


def test_a_channel_that_the_teacher_leaves_at_0_is_no_division_by_0():
    teacher = TEACHER * torch.tensor([1.0, 0.0])
    assert chunk_state_mse(STUDENT, teacher).isfinite().all()


def test_nothing_flows_to_the_teacher_and_the_gradient_is_the_slope():
    student, teacher = (x.double().requires_grad_() for x in (STUDENT, TEACHER))
    matrix = logits(2, 2, seed=1).double().requires_grad_()
    chunk_state_mse(student, teacher, projection=matrix).sum().backward()
    assert teacher.grad is None and matrix.grad is not None
    fixed = teacher.detach()
    assert torch.autograd.gradcheck(lambda s, w: chunk_state_mse(s, fixed, projection=w), (student, matrix))


def test_a_student_of_another_width_is_projected():
    matrix = logits(6, 4, seed=2)
    student, teacher = logits(5, 2, 4, seed=0), logits(5, 2, 6, seed=1)
    found = chunk_state_mse(student, teacher, projection=matrix)
    torch.testing.assert_close(found, chunk_state_mse(student @ matrix.T, teacher))


def test_the_projection_begins_as_an_isometry():
    assert torch.equal(projection(student_width=4, teacher_width=4)()["projection"], torch.eye(4))
    for narrow, broad in ((3, 5), (5, 3)):
        matrix = projection(student_width=narrow, teacher_width=broad)()["projection"].detach()
        assert matrix.shape == (broad, narrow)
        small = matrix.T @ matrix if narrow < broad else matrix @ matrix.T
        torch.testing.assert_close(small, torch.eye(3), atol=1e-5, rtol=0)


def test_no_chunks_give_nothing():
    student, matrix = torch.zeros(0, 2, 4, requires_grad=True), torch.ones(6, 4, requires_grad=True)
    values = chunk_state_mse(student, torch.zeros(0, 2, 6), projection=matrix)
    values.sum().backward()
    assert values.shape == (0,) and (matrix.grad == 0).all()


def test_widths_that_do_not_fit_are_refused():
    student, teacher = logits(5, 2, 4, seed=0), logits(5, 2, 6, seed=1)
    with pytest.raises(ObjectiveError, match="widths must be equal without a projection, got student 4"):
        chunk_state_mse(student, teacher)
    with pytest.raises(ObjectiveError, match=r"projection must be \(6, 4\)"):
        chunk_state_mse(student, teacher, projection=torch.zeros(4, 6))
    with pytest.raises(ObjectiveError, match="normalise must be"):
        chunk_state_mse(STUDENT, TEACHER, normalise="token")
    with pytest.raises(ObjectiveError, match="shapes must be equal"):
        chunk_state_mse(STUDENT, TEACHER[:1])
    with pytest.raises(ObjectiveError, match="student_width must be at least 1"):
        projection(student_width=0, teacher_width=3)
