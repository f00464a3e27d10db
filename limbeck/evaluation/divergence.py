"""What two distributions over the same outcomes have in common, position by position, in float32."""

import math
from typing import NamedTuple

from torch import Tensor
from torch.linalg import vecdot
from torch.nn.functional import softplus


class Divergence(NamedTuple):
    """Distances between student and teacher, each [N].

    Attributes:
        forward_kl: KL(teacher || student), nats.
        reverse_kl: KL(student || teacher), nats.
        js_distance: square root of the Jensen-Shannon divergence in base 2, in [0, 1].
    """

    forward_kl: Tensor
    reverse_kl: Tensor
    js_distance: Tensor


def divergence(student_log_probs: Tensor, teacher_log_probs: Tensor) -> Divergence:
    """KL both ways and the base-2 Jensen-Shannon distance of natural log-probabilities [N, V].

    With r = log q - log p (q student, p teacher) and the midpoint m = (p + q) / 2,
    log m - log p = softplus(r) - log 2, so JS = 1/2 sum_v (p + q)(log 2 - softplus(r)) + q r.
    This form is exactly 0 for equal inputs, where a difference of entropies is not: the square
    root would make 3e-4 of its rounding.

    Source:
        Loyalty as 1 - js_distance: Xu et al. 2021, arXiv:2109.03228, who average the distance (not
        the divergence) over examples. Base 2 makes it span [0, 1].
    """
    p, q = teacher_log_probs.exp(), student_log_probs.exp()
    r = student_log_probs - teacher_log_probs
    reverse, forward = vecdot(q, r), -vecdot(p, r)
    # In place from here: at V in the thousands, time goes into walking through memory.
    shared = vecdot(p.add_(q), softplus(r).neg_().add_(math.log(2)))
    bits = 0.5 * (shared + reverse) / math.log(2)
    return Divergence(forward.clamp_min(0), reverse.clamp_min(0), bits.clamp(min=0, max=1).sqrt())


def entropy(log_probs: Tensor) -> Tensor:
    """Entropy [N] in nats of natural log-probabilities [N, V]."""
    return -vecdot(log_probs.exp(), log_probs)
