"""Linear maps between the spaces of two models."""

import torch
from torch import nn

from limbeck.core.errors import ObjectiveError
from limbeck.core.seeds import derived_seed
from limbeck.objectives.dual_space import Affine


def projectors(*, student_width: int, teacher_width: int, seed: int = 0) -> "Projectors":
    """`query`, `to_student` and `to_teacher` of `dual_space`: three linear layers, learnt from the start.

    Args:
        student_width: of the student's hidden states and embeddings, at least 1.
        teacher_width: of the teacher's, at least 1.
        seed: of the first weights, drawn as torch draws those of a linear layer.

    Raises:
        ObjectiveError: a width is below 1.

    Source:
        Zhang et al. 2024, arXiv:2406.17328; songmzhang/DSKD, `configs/projector_config.json`: one layer
        each, with bias, learning rate 1e-3. There they also decay; trainable hyperparameters never do here.
    """
    for name, width in (("student_width", student_width), ("teacher_width", teacher_width)):
        if width < 1:
            raise ObjectiveError(f"{name} must be at least 1, got {width}.")
    return Projectors(student_width, teacher_width, seed)


class Projectors(nn.Module):
    """See `projectors`."""

    def __init__(self, student_width: int, teacher_width: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, "projectors"))
            self.query = nn.Linear(2 * student_width, 2 * teacher_width)
            self.to_student = nn.Linear(teacher_width, student_width)
            self.to_teacher = nn.Linear(student_width, teacher_width)

    def forward(self) -> dict[str, Affine]:
        """Weights and biases by name."""
        layers = {"query": self.query, "to_student": self.to_student, "to_teacher": self.to_teacher}
        return {name: Affine(layer.weight, layer.bias) for name, layer in layers.items()}
