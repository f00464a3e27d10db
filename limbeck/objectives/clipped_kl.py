"""Clipped KL: forward KL on the dense part of the teacher's distribution."""

import math

import torch
from torch import Tensor

from limbeck.core.checks import check_positive
from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import TopK
from limbeck.objectives.head_mass import head_threshold
from limbeck.objectives.outcomes import Tail, hinton_factor, kl, log_sum_exp, outcome_of, outcomes

_STEEPEST = 30.0  # log of the greatest ratio in the slope of tensor bounds; float32 must hold its square


def clipped_kl(
    student_logits: Tensor,
    teacher_logits: Tensor | TopK,
    labels: Tensor,
    *,
    low: float | Tensor,
    high: float | Tensor,
    renormalise: bool = True,
    softness: float = 0.05,
    temperature: float = 1.0,
    temperature_squared: bool = False,
    tail: Tail = "bucket",
) -> Tensor:
    """KL(teacher || student) per position over the outcomes that a window of the teacher's mass keeps.

    Outcomes are laid end to end by their teacher probability, the least likely first, so that each
    covers a stretch of [0, 1]. Those whose stretch meets (low, high) are kept, and always the label.
    Outcomes of equal probability are kept or dropped together. With M the kept outcomes,
    p_M = p / sum_M p and q_M = q / sum_M q: sum_M p_M log(p_M / q_M). The gradient in the student's
    logits is (q_M - p_M) / T inside M and 0 outside; with renormalise=False the student is q itself
    and the gradient q - p_M everywhere, over T.

    low = 0, high = 1 is forward KL. A window that keeps the label alone is 0 with renormalise and
    cross-entropy without.

    A bound that is a tensor gets a gradient, as if outcomes entered and left the window smoothly
    (the value stays that of the hard window). Minimising it alone narrows the window until nothing
    is left to learn: `objectives.trainable.clip_window` keeps it open.

    Args:
        student_logits: s, [..., V], any float dtype; computed in float32.
        teacher_logits: z, [..., V], over the same vocabulary in the same order, or a TopK, whose bucket
            is taken for the least likely outcome.
        labels: [...], ids in [0, V); never the ignored value.
        low: where the window begins, in [0, 1]: the mass of the tail that is cut; a number or [...].
        high: where it ends, above low; 1 cuts nothing at the top. A number or [...].
        renormalise: give the student the mass that it puts on the kept outcomes as a whole.
        softness: width of the smooth edges that tensor bounds get their gradient from, in mass.
        temperature: T, softens both sides; above 0, and 1 with a TopK.
        temperature_squared: multiply by T^2.
        tail: with a TopK, "bucket" (K + 1 outcomes) or "renormalise" (biased).

    Returns:
        [...], in nats; neither masked nor reduced.

    Raises:
        ObjectiveError: shapes differ, the window is empty, or a hyperparameter is outside its range.

    Takes:
        Rows with tokens to predict; a teacher with the same ids, live, stored or an ensemble.

    Example:
        >>> import torch
        >>> student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()  # (1/2, 1/2), (3/4, 1/4)
        >>> clipped_kl(student, teacher, torch.tensor([0]), low=0.0, high=1.0)  # nothing is cut
        tensor([0.1308])

    Source:
        Liu et al. 2024 (MGSR), arXiv:2407.10068, the loss DAC-KL; no code was released. The window, the
        label's place in it and the renormalised teacher are the paper's; we measure the window in mass, not
        in ranks, so that it means the same for every vocabulary and for stored teachers, and the
        renormalised student, the edges' gradient and their width are ours.
    """
    check_positive(softness=softness)
    _check_window(low, high, student_logits.shape[:-1])
    log_q, log_p = outcomes(student_logits, teacher_logits, temperature=temperature, tail=tail)
    above = _above(log_p.exp(), has_bucket=isinstance(teacher_logits, TopK))
    target = outcome_of(labels, teacher_logits).unsqueeze(-1)
    dropped = ~_inside(log_p.exp(), above, _column(low), _column(high)).scatter(-1, target, True)
    inside_p, inside_q = log_p.masked_fill(dropped, -math.inf), log_q.masked_fill(dropped, -math.inf)
    mass_p, mass_q = log_sum_exp(inside_p).unsqueeze(-1), log_sum_exp(inside_q).unsqueeze(-1)
    divergence = kl(inside_p - mass_p, inside_q - mass_q if renormalise else log_q)
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        with torch.no_grad():
            slope = _slope(log_p, log_q, mass_p, mass_q if renormalise else None, divergence.unsqueeze(-1))
        level = 1 - above - log_p.exp() / 2  # the middle of an outcome's stretch
        edges = ((level - _column(low)) / softness).sigmoid() * ((_column(high) - level) / softness).sigmoid()
        divergence = divergence + (slope * (edges - edges.detach()).float()).sum(-1)
    return divergence * hinton_factor(temperature, temperature_squared)


def window_thresholds(p: Tensor, low: float, high: float) -> tuple[Tensor | float, Tensor | float]:
    """The least and the greatest probability that a window keeps, [..., 1] each, of p [..., V]."""
    least = head_threshold(p, 1 - low, "paper") if low > 0 else 0.0
    if high == 1:
        return least, math.inf
    # The top that is cut is the largest head of at most 1 - high: what comes next is kept.
    cut = head_threshold(p, 1 - high, "released")
    next_below = torch.where(p < cut, p, 0.0).amax(-1, keepdim=True)
    return least, torch.where(p.amax(-1, keepdim=True) > 1 - high, math.inf, next_below)


def _inside(p: Tensor, above: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """[..., O] True where the stretch from 1 - above - p to 1 - above meets the window."""
    starts_below = (above + p > 1 - high) | (high >= 1)
    ends_above = (above < 1 - low) | (low <= 0)
    return starts_below & ends_above


def _above(p: Tensor, *, has_bucket: bool) -> Tensor:
    """[..., O] the mass of the outcomes that are likelier than each, in float64; the bucket comes last."""
    candidates = p[..., :-1] if has_bucket else p
    ordered, order = candidates.sort(-1, descending=True)
    before = ordered.cumsum(-1, dtype=torch.float64) - ordered
    is_first = torch.ones_like(ordered, dtype=torch.bool)
    is_first[..., 1:] = ordered[..., 1:] < ordered[..., :-1]
    before = before.masked_fill(~is_first, 0.0).cummax(-1).values
    above = torch.empty_like(before).scatter(-1, order, before)
    return torch.cat([above, 1 - p[..., -1:].double()], -1) if has_bucket else above


def _slope(log_p: Tensor, log_q: Tensor, mass_p: Tensor, mass_q: Tensor | None, value: Tensor) -> Tensor:
    """[..., O] slope of the value in the weight of each outcome, at weights of 1 inside and 0 outside."""
    share_p = (log_p - mass_p).clamp(max=_STEEPEST).exp()
    gain = (log_p - log_q).masked_fill(log_p.exp() == 0, 0.0) - value - mass_p - 1
    if mass_q is None:
        return share_p * gain
    return share_p * (gain + mass_q) + (log_q - mass_q).clamp(max=_STEEPEST).exp()


def _check_window(low: float | Tensor, high: float | Tensor, shape: torch.Size) -> None:
    for name, bound in (("low", low), ("high", high)):
        if isinstance(bound, Tensor) and bound.shape != shape:
            raise ObjectiveError(
                f"{name} must be a number or {tuple(shape)}, one bound for each position, got "
                f"{tuple(bound.shape)}."
            )
    a, b = (torch.as_tensor(bound).detach() for bound in (low, high))
    if not bool(((a >= 0) & (a < b) & (b <= 1)).all()):
        raise ObjectiveError(
            f"low and high must satisfy 0 <= low < high <= 1, got {_shown(low)} and {_shown(high)}."
        )


def _column(bound: float | Tensor) -> float | Tensor:
    return bound.unsqueeze(-1) if isinstance(bound, Tensor) else bound


def _shown(bound: float | Tensor) -> str:
    if not isinstance(bound, Tensor):
        return f"{bound}"
    return f"{float(bound.detach().min()):g} to {float(bound.detach().max()):g}"
