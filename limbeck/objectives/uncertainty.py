"""How unsure a student is of each unit: constants to rank or weigh units by, never a loss.

Each takes scores [..., C] and returns [...]: larger is less sure, and 0 is a distribution with all
its mass on one outcome. Nothing flows back.
"""

import math

import torch
from torch import Tensor

from limbeck.objectives.outcomes import entropy


@torch.no_grad()
def normalised_entropy(student_logits: Tensor) -> Tensor:
    """Entropy of softmax(scores) over its maximum, log C: in [0, 1], and 1 for equal scores.

    Source:
        Li et al. 2021, arXiv:2109.11295; lancopku/DynamicKD, README `dynamic_kd_loss`. We differ: no
        1e-6 inside the logarithm, and no gradient (in `models/student.py` it flows in the soft modes).
    """
    log_q = student_logits.float().log_softmax(-1)
    return (entropy(log_q) / math.log(max(student_logits.shape[-1], 2))).clamp(0, 1)


@torch.no_grad()
def margin(student_logits: Tensor) -> Tensor:
    """1 minus the lead of the likeliest outcome over the next: in [0, 1].

    Source:
        lancopku/DynamicKD, `models/student.py:get_sorted_indices`, which sorts by the lead ascending.
    """
    first, second = student_logits.float().softmax(-1).topk(2, -1).values.unbind(-1)
    return 1 - (first - second)


@torch.no_grad()
def least_confidence(student_logits: Tensor) -> Tensor:
    """1 minus the probability of the likeliest outcome: in [0, 1 - 1 / C].

    Source:
        lancopku/DynamicKD, `models/student.py:get_sorted_indices`, there "confidence", ascending.
    """
    return 1 - student_logits.float().softmax(-1).amax(-1)
