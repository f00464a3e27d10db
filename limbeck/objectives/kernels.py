"""Closed-form values and gradients of the shipped objectives, in place on a block of logits.

For a divergence L(q, p) with partials g = dL/dq, q = softmax(s): dL/ds = q (g - sum q g). Every
kernel is two or three reductions over the vocabulary and one elementwise pass. The formulas of
the values are those of the objectives' own files; tests hold both together.

A kernel takes student logits z and teacher logits u [R, V] (float32, finite, already divided by
the temperature, its own to overwrite), labels [R], and `spare`, which gives scratch tensors like
z by number; signals that come with the batch [R] follow. It returns the values [R, 1] and leaves
dL/dz in z.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from limbeck.objectives.adaptive_kl import adaptive_kl
from limbeck.objectives.alpha_divergence import alpha_divergence
from limbeck.objectives.clipped_kl import clipped_kl, window_thresholds
from limbeck.objectives.corrected_mse import corrected_mse, inverse_weight
from limbeck.objectives.cross_entropy import cross_entropy
from limbeck.objectives.decoupled_kd import decoupled_kd
from limbeck.objectives.forward_kl import forward_kl
from limbeck.objectives.head_mass import head_threshold
from limbeck.objectives.jsd import jsd
from limbeck.objectives.logit_mse import logit_mse
from limbeck.objectives.outcomes import entropy, kl
from limbeck.objectives.policy_gradient import policy_gradient
from limbeck.objectives.rank_distance import rank_distance
from limbeck.objectives.reverse_kl import reverse_kl
from limbeck.objectives.skew_forward_kl import skew_forward_kl
from limbeck.objectives.skew_reverse_kl import skew_reverse_kl
from limbeck.objectives.taid import taid
from limbeck.objectives.total_variation import total_variation
from limbeck.objectives.uld import uld

Spare = Callable[[int], Tensor]
Kernel = Callable[..., Tensor]

_COUNTED_FROM = 8192  # ids: below, sorting a row on a CPU is faster than counting
_TINY = torch.finfo(torch.float32).tiny  # floor of a mixture: below it 0 * log(0) would be NaN


def _softmax(x: Tensor, out: Tensor) -> Tensor:
    """Write softmax(x) to `out` (x itself is allowed) and return the log-sum-exp, [R, 1]."""
    top = x.amax(-1, keepdim=True)
    torch.softmax(x, -1, out=out)
    return top - out.amax(-1, keepdim=True).log()


def _dot(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Sum of a * b over the vocabulary, [R, 1]; the products land in `out`."""
    return torch.mul(a, b, out=out).sum(-1, keepdim=True)


def _cross_entropy(z: Tensor, u: Tensor, labels: Tensor, spare: Spare) -> Tensor:
    label = labels.unsqueeze(-1)
    at_label = z.gather(-1, label)
    value = _softmax(z, out=z) - at_label
    z.scatter_add_(-1, label, torch.full_like(at_label, -1.0))
    return value


def _forward_kl(z: Tensor, u: Tensor, labels: Tensor, spare: Spare) -> Tensor:
    difference = torch.sub(u, z, out=spare(0))
    lse_q, lse_p = _softmax(z, out=z), _softmax(u, out=u)
    value = _dot(u, difference, out=difference) - lse_p + lse_q
    z.sub_(u)
    return value


def _reverse_kl(z: Tensor, u: Tensor, labels: Tensor, spare: Spare) -> Tensor:
    difference = torch.sub(z, u, out=spare(0))
    lse_q, lse_p = _softmax(z, out=z), _softmax(u, out=u)
    mean = _dot(z, difference, out=u)
    z.mul_(difference.sub_(mean))
    return mean - lse_q + lse_p


def _jsd(z: Tensor, u: Tensor, labels: Tensor, spare: Spare, *, beta: float) -> Tensor:
    q, p, log_m = spare(0), spare(1), spare(2)
    z.sub_(_softmax(z, out=q))
    u.sub_(_softmax(u, out=p))
    torch.lerp(q, p, beta, out=log_m).clamp_(min=_TINY).log_()
    student = _dot(q, z.sub_(log_m), out=spare(3))
    teacher = _dot(p, u.sub_(log_m), out=u)
    z.sub_(student).mul_(q).mul_(1 - beta)
    return beta * teacher + (1 - beta) * student


def _skew_forward_kl(z: Tensor, u: Tensor, labels: Tensor, spare: Spare, *, alpha: float) -> Tensor:
    if alpha == 0:  # the ratio below has no bound
        return _forward_kl(z, u, labels, spare)
    ratio, scratch = spare(0), spare(1)
    _softmax(z, out=z)
    _softmax(u, out=u)
    torch.lerp(z, u, alpha, out=ratio).clamp_(min=_TINY)
    torch.div(u, ratio, out=ratio)
    torch.clamp(ratio, min=_TINY, out=scratch).log_()
    value = _dot(u, scratch, out=scratch)
    mean = _dot(z, ratio, out=scratch)
    z.mul_(ratio.sub_(mean)).mul_(alpha - 1)
    return value


def _skew_reverse_kl(
    z: Tensor, u: Tensor, labels: Tensor, spare: Spare, *, alpha: float, compat: str = "paper"
) -> Tensor:
    if alpha == 0:  # the ratio below has no bound
        return _reverse_kl(z, u, labels, spare)
    ratio, log_ratio = spare(0), spare(1)
    _softmax(z, out=z)
    _softmax(u, out=u)
    torch.lerp(u, z, alpha, out=ratio).clamp_(min=_TINY)
    torch.div(z, ratio, out=ratio)
    torch.clamp(ratio, min=_TINY, out=log_ratio).log_()
    value = _dot(z, log_ratio, out=u)
    log_ratio.sub_(value)
    if compat == "paper":
        mean = _dot(z, ratio, out=u)
        log_ratio.sub_(ratio.sub_(mean), alpha=alpha)
    z.mul_(log_ratio)
    return value


def _total_variation(z: Tensor, u: Tensor, labels: Tensor, spare: Spare) -> Tensor:
    _softmax(z, out=z)
    _softmax(u, out=u)
    torch.sub(z, u, out=u)
    sign = torch.sign(u, out=spare(0))
    value = u.abs_().sum(-1, keepdim=True) / 2
    mean = _dot(z, sign, out=u)
    z.mul_(sign.sub_(mean)).div_(2)
    return value


def _alpha_divergence(z: Tensor, u: Tensor, labels: Tensor, spare: Spare, *, alpha: float) -> Tensor:
    # p^alpha q^(1 - alpha) is a softmax of the interpolated logits times its mass W.
    blend = torch.lerp(z, u, alpha, out=spare(0))
    lse_q, lse_p, lse_blend = _softmax(z, out=z), _softmax(u, out=u), _softmax(blend, out=blend)
    log_mass = lse_blend - alpha * lse_p - (1 - alpha) * lse_q
    z.sub_(blend).mul_(log_mass.exp() / alpha)
    return -log_mass.expm1() / (alpha * (1 - alpha))


def _adaptive_kl(
    z: Tensor, u: Tensor, labels: Tensor, spare: Spare, *, mu: float = 0.5, compat: str = "paper"
) -> Tensor:
    difference, scratch = torch.sub(z, u, out=spare(0)), spare(1)
    lse_q, lse_p = _softmax(z, out=z), _softmax(u, out=u)
    mean = _dot(z, difference, out=scratch)
    reverse = mean - lse_q + lse_p
    forward = lse_q - lse_p - _dot(u, difference, out=scratch)
    torch.sub(z, u, out=scratch).abs_()
    total = scratch.sum(-1, keepdim=True)
    head = scratch.masked_fill_(u < head_threshold(u, mu, compat), 0.0).sum(-1, keepdim=True)
    share = torch.where(total > 0, head / total, 0.5)
    z.mul_(difference.sub_(mean).mul_(1 - share).add_(share)).addcmul_(u, share, value=-1)
    return share * forward + (1 - share) * reverse


def _taid(z: Tensor, u: Tensor, labels: Tensor, spare: Spare, *, t: float, compat: str = "paper") -> Tensor:
    torch.lerp(z, u, t, out=u)
    if compat == "paper":
        return _forward_kl(z, u, labels, spare)
    spread = entropy(u.log_softmax(-1)).unsqueeze(-1)
    return _forward_kl(z, u, labels, spare) + spread


def _decoupled_kd(z: Tensor, u: Tensor, labels: Tensor, spare: Spare, *, alpha: float, beta: float) -> Tensor:
    label = labels.unsqueeze(-1)
    student, teacher = z.gather(-1, label), u.gather(-1, label)
    difference = torch.sub(u, z, out=spare(0))
    z.scatter_(-1, label, -torch.inf)
    u.scatter_(-1, label, -torch.inf)
    rest_q, rest_p = _softmax(z, out=z), _softmax(u, out=u)
    log_q = torch.cat([student, rest_q], -1).log_softmax(-1)
    log_p = torch.cat([teacher, rest_p], -1).log_softmax(-1)
    rest = _dot(u, difference, out=difference) - rest_p + rest_q
    excess = alpha * (log_q.exp() - log_p.exp())[:, :1]
    z.mul_(beta - excess).sub_(u, alpha=beta).scatter_(-1, label, excess)
    return alpha * kl(log_p, log_q).unsqueeze(-1) + beta * rest


def _policy_gradient(
    z: Tensor,
    u: Tensor,
    labels: Tensor,
    spare: Spare,
    advantages: Tensor,
    sampled_log_probs: Tensor,
    *,
    clip: float = 0.0,
) -> Tensor:
    label, advantage = labels.unsqueeze(-1), advantages.unsqueeze(-1)
    at_label = z.gather(-1, label)
    ratio = (at_label - _softmax(z, out=z) - sampled_log_probs.unsqueeze(-1)).exp()
    value = slope = -advantage * ratio
    if clip:
        clipped = -advantage * ratio.clamp(1 - clip, 1 + clip)
        slope = torch.where(value >= clipped, value, 0.0)
        value = value.maximum(clipped)
    z.mul_(-slope).scatter_add_(-1, label, slope)
    return value


def _clipped_kl(
    z: Tensor,
    u: Tensor,
    labels: Tensor,
    spare: Spare,
    *,
    low: float,
    high: float,
    renormalise: bool = True,
    softness: float = 1.0,
) -> Tensor:
    p = spare(1)
    _softmax(u, out=p)
    least, greatest = window_thresholds(p, low, high)
    dropped = ((p < least) | (p > greatest)).scatter_(-1, labels.unsqueeze(-1), False)
    difference = torch.sub(u, z, out=spare(0))
    u.masked_fill_(dropped, -torch.inf)
    if renormalise:
        z.masked_fill_(dropped, -torch.inf)
    lse_q, lse_p = _softmax(z, out=z), _softmax(u, out=u)
    value = _dot(u, difference, out=difference) - lse_p + lse_q
    z.sub_(u)
    return value


def _logit_mse(z: Tensor, u: Tensor, labels: Tensor, spare: Spare) -> Tensor:
    z.sub_(u)
    value = torch.mul(z, z, out=u).mean(-1, keepdim=True)
    z.mul_(2 / z.shape[-1])
    return value


def _corrected_mse(z: Tensor, u: Tensor, labels: Tensor, spare: Spare, *, smoothing: float = 0.0) -> Tensor:
    label, weight = labels.unsqueeze(-1), spare(0)
    z.sub_(u).add_(1)
    log_p = u.gather(-1, label) - _softmax(u, out=weight)
    weight.mul_(1 - smoothing).add_(smoothing / z.shape[-1])
    at_label = z.gather(-1, label)
    total = torch.mul(z, z, out=u).mul_(weight).sum(-1, keepdim=True)
    z.mul_(weight).scatter_add_(-1, label, torch.full_like(at_label, -1.0)).mul_(2 / z.shape[-1])
    return (total - 2 * at_label + inverse_weight(log_p, smoothing, z.shape[-1])) / z.shape[-1]


def _uld(z: Tensor, u: Tensor, labels: Tensor, spare: Spare) -> Tensor:
    _softmax(z, out=z)
    _softmax(u, out=u)
    signs, width = spare(0), z.shape[-1]
    if z.device.type == "cpu" and width >= _COUNTED_FROM:
        found = [rank_distance(*sides) for sides in zip(z.numpy(), u.numpy(), strict=True)]
        value = z.new_tensor([[distance] for distance, _ in found])
        for row, (_, of_row) in zip(signs, found, strict=True):
            row.copy_(torch.from_numpy(of_row))
    else:
        ranked, order = z.sort(-1, descending=True)
        length = max(width, u.shape[-1])
        others = u.sort(-1, descending=True).values
        difference = pad(ranked, (0, length - width)) - pad(others, (0, length - u.shape[-1]))
        value = difference.abs().sum(-1, keepdim=True)
        signs.scatter_(-1, order, difference[:, :width].sign())
    z.mul_(signs.sub_(_dot(z, signs, out=spare(1))))
    return value


KERNELS: Mapping[Callable[..., Any], Kernel] = {
    adaptive_kl: _adaptive_kl,
    alpha_divergence: _alpha_divergence,
    clipped_kl: _clipped_kl,
    corrected_mse: _corrected_mse,
    cross_entropy: _cross_entropy,
    decoupled_kd: _decoupled_kd,
    forward_kl: _forward_kl,
    jsd: _jsd,
    logit_mse: _logit_mse,
    policy_gradient: _policy_gradient,
    reverse_kl: _reverse_kl,
    skew_forward_kl: _skew_forward_kl,
    skew_reverse_kl: _skew_reverse_kl,
    taid: _taid,
    total_variation: _total_variation,
    uld: _uld,
}
"""Objective -> kernel; an objective without one is differentiated by autograd."""
