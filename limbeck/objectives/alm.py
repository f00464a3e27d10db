"""Approximate likelihood matching: chunks of text that both tokenizers bound get one likelihood."""

from collections.abc import Callable
from math import log
from typing import Annotated, Literal

import torch
from torch import Tensor

from limbeck.core.checks import check_choice, check_positive, check_same_shape
from limbeck.core.precision import wide
from limbeck.objectives.units.chunk import CHUNK

Distance = Literal[
    "binary_kl", "reverse_binary_kl", "jensen_shannon", "total_variation", "log_ratio", "limit"
]

_GUARD = 1e-6  # keeps a probability below 1 and the log of its complement finite; the official epsilon


def alm(
    student_chunks: Tensor,
    teacher_chunks: Tensor,
    *,
    temperature: float = 100.0,
    distance: Distance = "binary_kl",
) -> Annotated[Tensor, CHUNK]:
    """Distance between the two likelihoods of each chunk of text, over {this chunk, any other}.

    With P = exp(teacher / temperature) and Q = exp(student / temperature), each minus 1e-6 in log
    space, the default is P log(P / Q) + (1 - P) log((1 - P) / (1 - Q)): KL(teacher || student) after all
    other chunks were gathered into one outcome, at temperature 1 a lower bound of the divergence over
    chunks. Its gradient in student / temperature is (Q - P) / (1 - Q).

    Args:
        student_chunks: [N] natural log-likelihoods, at most 0 (rounding above 0 is cut), any float
            dtype; computed in float32.
        teacher_chunks: [N], of the same chunks; a constant.
        temperature: divides both log-likelihoods; above 0. Chunks of several tokens are unlikely, and at
            temperature 1 there is nearly no gradient in that.
        distance: "binary_kl"; "reverse_binary_kl", KL(student || teacher); "jensen_shannon", both KLs
            to the mean of both, halved; "total_variation", |P - Q|; "log_ratio", |log P - log Q|; "limit",
            what temperature * binary_kl tends to as the temperature grows, whatever `temperature` is.

    Returns:
        [N], in nats ("total_variation" in probability); neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, or a hyperparameter is outside its range.

    Takes:
        Rows with text to predict; a live teacher with any tokenizer.

    Example:
        >>> import torch
        >>> alm(torch.tensor([0.5]).log(), torch.tensor([0.75]).log(), temperature=1.0)
        tensor([0.1308])

    Source:
        Minixhofer et al. 2025, arXiv:2503.20083; temperature 100 as there. Parity with
        bminixhofer/tokenkit, `tokenkit/training/losses.py:compute_alm_loss`. We differ: `binary_ce`
        there is the cross-entropy, which is not 0 between equals (gradients agree), and `abs` there
        does not divide by the temperature. That bias of chunks which end where no word
        ends is taken out of the likelihoods before, as there.
    """
    check_same_shape(student_chunks=student_chunks, teacher_chunks=teacher_chunks)
    check_choice((*_DISTANCES, "limit"), distance=distance)
    check_positive(temperature=temperature)
    log_q, log_p = wide(student_chunks).clamp(max=0), wide(teacher_chunks.detach()).clamp(max=0)
    if distance == "limit":
        return _limit(log_q - _GUARD, log_p - _GUARD)
    return _DISTANCES[distance](log_q / temperature - _GUARD, log_p / temperature - _GUARD)


def _binary_kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a || b) over an outcome of log-probability below 0 and its complement."""
    inside = log_a.exp() * (log_a - log_b)
    return inside - torch.expm1(log_a) * (_log_complement(log_a) - _log_complement(log_b))


def _jensen_shannon(log_q: Tensor, log_p: Tensor) -> Tensor:
    middle = torch.logaddexp(log_q, log_p) - log(2)
    # Rounding must not lift the middle of two probabilities next to 1 above both of them.
    middle = torch.minimum(middle, torch.maximum(log_q, log_p))
    return (_binary_kl(log_p, middle) + _binary_kl(log_q, middle)) / 2


def _limit(log_q: Tensor, log_p: Tensor) -> Tensor:
    return (log_p - log_q) + log_p * ((-log_q).log() - (-log_p).log())


def _log_complement(log_a: Tensor) -> Tensor:
    """log(1 - exp(log_a)) for log_a < 0, accurate at both ends."""
    near_one = log_a > -log(2)
    # Each formula sees only its own range: the other's would give a NaN gradient where it overflows.
    small = torch.log1p(-log_a.masked_fill(near_one, -1.0).exp())
    large = torch.log(-torch.expm1(log_a.masked_fill(~near_one, -0.5)))
    return torch.where(near_one, large, small)


_DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "binary_kl": lambda log_q, log_p: _binary_kl(log_p, log_q),
    "reverse_binary_kl": _binary_kl,
    "jensen_shannon": _jensen_shannon,
    "total_variation": lambda log_q, log_p: (log_p.exp() - log_q.exp()).abs(),
    "log_ratio": lambda log_q, log_p: (log_p - log_q).abs(),
}
