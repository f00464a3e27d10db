"""DSKD against numbers printed by songmzhang/DSKD @ 077337a.

From `code/criterions/dual_space_kd_with_cross_model_attention.py:compute_dual_space_kd_loss_with_cma` on
one row at a time in which every position learns (the official standard deviation is over all that is
given), kd_temperature 2, teacher_temperature 1, skew_lambda 0.1, adaptive_kl_alpha 0.5, no label smoothing.
"""

import pytest
import torch

from limbeck.objectives import dual_space
from limbeck.objectives.dual_space import Affine
from tests.parity.dskd_inputs import maps, spaces

# Divergence -> loss of each row, norm of the gradient in the student's hidden states of each row.
OFFICIAL = {
    "forward_kl": ([54.653137, 39.554691], [7.46925, 4.947142]),
    "reverse_kl": ([53.334953, 37.315315], [5.069234, 2.856801]),
    "jsd": ([45.488411, 33.69891], [4.921905, 2.176583]),
    "adaptive_kl": ([53.715904, 38.144833], [5.633137, 3.566971]),
    "skew_forward_kl": ([47.085503, 35.130535], [4.927179, 2.222408]),
    "skew_reverse_kl": ([47.085823, 35.082973], [4.928684, 2.276086]),
}
# Norms of the gradients in the weights of query, t2s and s2t, of each row.
PROJECTORS = [[5.185622, 53.097401, 3.785872], [5.553842, 56.49894, 1.55056]]


@pytest.mark.parametrize("divergence", OFFICIAL)
def test_values_and_gradients_in_the_student_are_official(divergence):
    student, teacher, *_ = spaces()
    student = student._replace(hidden=student.hidden.requires_grad_())
    query, to_student, to_teacher = maps()
    values = dual_space(
        student, teacher, query=query, to_student=to_student, to_teacher=to_teacher, divergence=divergence
    )
    values.sum().backward()
    losses, norms = (torch.tensor(one) for one in OFFICIAL[divergence])
    torch.testing.assert_close(values.sum(1).detach(), losses, rtol=1e-6, atol=0)
    torch.testing.assert_close(student.hidden.grad.norm(dim=(1, 2)), norms, rtol=2e-6, atol=0)


@pytest.mark.parametrize("row", [0, 1])
def test_gradients_in_the_projectors_are_official(row):
    student, teacher, *_ = spaces()
    query, to_student, to_teacher = (Affine(*(part.requires_grad_() for part in one)) for one in maps())
    values = dual_space(student, teacher, query=query, to_student=to_student, to_teacher=to_teacher)
    values[row].sum().backward()
    found = torch.stack([one.weight.grad.norm() for one in (query, to_student, to_teacher)])
    torch.testing.assert_close(found, torch.tensor(PROJECTORS[row]), rtol=2e-6, atol=0)
