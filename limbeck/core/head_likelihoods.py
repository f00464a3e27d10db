"""Log-probabilities of tokens straight from hidden states and a vocabulary head; [N, V] never exists."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from limbeck.core.errors import ObjectiveError
from limbeck.core.masks import IGNORE
from limbeck.core.products import hidden_gradient, product_dtype, scores, weight_gradient
from limbeck.core.signals import Head

# Sizes in bytes of logits, as in the fused objectives: a chunk tall enough that reading the head is
# cheap beside multiplying it, a block small enough to stay in the cache over all passes.
_CPU_CHUNK = 150 * 2**20
_CPU_BLOCK = 3 * 2**19
_GPU_CHUNK = 640 * 2**20
_GPU_BLOCK = 160 * 2**20
_RARE = 1e-12  # mass below which products of float32 lose it; such rows get a pass of their own


def linear_likelihoods(
    hidden: Tensor, head: Head, labels: Tensor, starts: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Log-probability of a label, and log of the mass on some ids, at every position.

    Equal to the log-softmax of all logits in value and gradient, to float32 rounding; logits
    are projected some rows at a time, and once more in the backward.

    Args:
        hidden: [N, H].
        head: weight [V, H]; gradients flow to its weight and bias, and to `hidden`.
        labels: [N] ids in [0, V), or `core.masks.IGNORE`.
        starts: [V] bool, True at ids whose mass is summed (tokens that begin a word); None: all.

    Returns:
        log_probs: [N], in nats, float32 (float64 for float64 hidden states); 0 without a
            gradient at ignored labels.
        log_starts: [N], in nats; 0 for all ids, -inf without a gradient for none.

    Raises:
        ObjectiveError: shapes do not fit.
    """
    _check(hidden, head, labels, starts)
    with_starts = None if starts is None or bool(starts.all()) else starts
    detached = replace(
        head, weight=head.weight.detach(), bias=None if head.bias is None else head.bias.detach()
    )
    plan = _Plan(detached, labels, with_starts, _dtype(hidden))
    found: tuple[Tensor, Tensor] = _Likelihoods.apply(plan, hidden, head.weight, head.bias)
    return found


@dataclass(frozen=True)
class _Plan:
    head: Head
    labels: Tensor
    starts: Tensor | None
    dtype: torch.dtype  # of the products

    @property
    def wide(self) -> torch.dtype:
        """What everything else is computed in."""
        return torch.float64 if self.dtype is torch.float64 else torch.float32

    def chunks(self, hidden: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Rows, their hidden states, and their logits before the softcap in one buffer for all."""
        rows, vocabulary = hidden.shape[0], self.head.weight.shape[0]
        height = min(max(1, rows), _height(hidden, vocabulary, _CPU_CHUNK, _GPU_CHUNK))
        out = hidden.new_empty(height, vocabulary, dtype=self.wide)
        for start in range(0, rows, height):
            part = slice(start, min(start + height, rows))
            h = hidden[part]
            yield part, h, scores(h, self.head, out[: h.shape[0]], self.dtype)

    def blocks(self, z: Tensor, start: int) -> Iterator[tuple[slice, Tensor]]:
        """Rows of all positions, and their part of a chunk's logits."""
        height = _height(z, z.shape[1], _CPU_BLOCK, _GPU_BLOCK)
        for first in range(0, z.shape[0], height):
            block = z[first : first + height]
            yield slice(start + first, start + first + block.shape[0]), block

    def cap(self, z: Tensor) -> Tensor | None:
        """Apply the softcap in place; its slope."""
        if self.head.softcap is None:
            return None
        z.div_(self.head.softcap).tanh_()
        slope = 1 - z.square()
        z.mul_(self.head.softcap)
        return slope


class _Likelihoods(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, plan: _Plan, hidden: Tensor, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        log_probs = hidden.new_zeros(hidden.shape[0], dtype=plan.wide)
        log_starts, log_sums = torch.zeros_like(log_probs), torch.zeros_like(log_probs)
        with torch.autocast(hidden.device.type, enabled=False):
            for part, _, chunk in plan.chunks(hidden):
                for rows, z in plan.blocks(chunk, part.start):
                    plan.cap(z)
                    log_sums[rows], log_starts[rows] = _log_sums(z, plan.starts)
                    label = plan.labels[rows]
                    picked = z.gather(-1, label.clamp_min(0).unsqueeze(-1)).squeeze(-1)
                    log_probs[rows] = (picked - log_sums[rows]).where(label != IGNORE, 0.0)
        ctx.save_for_backward(hidden, log_sums, log_starts)
        ctx.plan, ctx.dtypes = plan, tuple(None if x is None else x.dtype for x in (hidden, weight, bias))
        return log_probs, log_starts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_probs: Tensor, of_starts: Tensor) -> tuple[Tensor | None, ...]:
        hidden, log_sums, log_starts = ctx.saved_tensors
        plan: _Plan = ctx.plan
        of_probs = of_probs.where(plan.labels != IGNORE, 0.0)
        of_starts = of_starts.where(log_starts.isfinite(), 0.0)
        if plan.starts is None:
            of_starts = torch.zeros_like(of_starts)
        _, wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad
        weight, bias = plan.head.weight, plan.head.bias
        d_hidden = torch.zeros_like(hidden, dtype=plan.wide) if wants_hidden else None
        d_weight = torch.zeros_like(weight, dtype=plan.wide) if wants_weight else None
        d_bias = torch.zeros_like(bias, dtype=plan.wide) if wants_bias and bias is not None else None
        with torch.autocast(hidden.device.type, enabled=False):
            for part, h, chunk in plan.chunks(hidden):
                for rows, z in plan.blocks(chunk, part.start):
                    sums = log_sums[rows], log_starts[rows]
                    _differentiate(plan, z, rows, sums, of_probs[rows], of_starts[rows])
                if d_hidden is not None:
                    d_hidden[part] = hidden_gradient(chunk, weight, plan.dtype)
                if d_weight is not None:
                    weight_gradient(chunk, h, d_weight, plan.dtype, add=True)
                if d_bias is not None:
                    d_bias += chunk.sum(0)
        gradients = (d_hidden, d_weight, d_bias)
        return None, *(
            None if gradient is None else gradient.to(dtype)
            for gradient, dtype in zip(gradients, ctx.dtypes, strict=True)
        )


def _log_sums(z: Tensor, starts: Tensor | None) -> tuple[Tensor, Tensor]:
    """[R] log-sum-exp of all scores, and log of the share of `starts` in it."""
    top = z.amax(-1, keepdim=True)
    powers = (z - top).exp_()
    total = powers.sum(-1)
    log_sums = top.squeeze(-1) + total.log()
    if starts is None:
        return log_sums, torch.zeros_like(log_sums)
    mass = powers @ starts.to(z.dtype)
    log_starts = (mass / total).log()
    rare = (mass < _RARE).nonzero().squeeze(-1)
    if rare.numel():
        log_starts[rare] = _masked(z[rare], starts).logsumexp(-1) - log_sums[rare]
    return log_sums, log_starts


def _differentiate(
    plan: _Plan, z: Tensor, rows: slice, sums: tuple[Tensor, Tensor], of_probs: Tensor, of_starts: Tensor
) -> None:
    """Put the gradient in the scores over z: the label less q, and the softmax over `starts` less q."""
    slope = plan.cap(z)
    log_sums, log_starts = sums
    all_ids = -(of_probs + of_starts).unsqueeze(-1)
    if plan.starts is None or not bool(of_starts.any()):
        z.sub_(log_sums.unsqueeze(-1)).exp_().mul_(all_ids)
    else:
        is_rare = log_starts < log(_RARE)
        rare = (is_rare & of_starts.ne(0)).nonzero().squeeze(-1)
        inside = (log_sums[rare] + log_starts[rare]).unsqueeze(-1)
        share = _masked(z[rare], plan.starts).sub_(inside).exp_().mul_(of_starts[rare].unsqueeze(-1))
        # Elsewhere the softmax over `starts` is q over their mass.
        over_mass = (of_starts * (-log_starts).exp()).masked_fill(is_rare, 0.0).unsqueeze(-1)
        z.sub_(log_sums.unsqueeze(-1)).exp_().mul_(torch.where(plan.starts, all_ids + over_mass, all_ids))
        z.index_add_(0, rare, share)
    z.scatter_add_(-1, plan.labels[rows].clamp_min(0).unsqueeze(-1), of_probs.unsqueeze(-1))
    if plan.head.scale != 1:
        z.mul_(plan.head.scale)
    if slope is not None:
        z.mul_(slope)


def _masked(z: Tensor, kept: Tensor) -> Tensor:
    return z.masked_fill(~kept, -torch.inf)


def _height(tensor: Tensor, vocabulary: int, on_cpu: int, on_gpu: int) -> int:
    return max(1, (on_cpu if tensor.device.type == "cpu" else on_gpu) // (4 * vocabulary))


def _dtype(hidden: Tensor) -> torch.dtype:
    return torch.float64 if hidden.dtype is torch.float64 else product_dtype(hidden)


def _check(hidden: Tensor, head: Head, labels: Tensor, starts: Tensor | None) -> None:
    if hidden.dim() != 2 or hidden.shape[1] != head.weight.shape[1]:
        raise ObjectiveError(
            f"hidden must be [N, H] for a weight [V, H], got {tuple(hidden.shape)} and "
            f"{tuple(head.weight.shape)}."
        )
    if labels.shape != hidden.shape[:1]:
        raise ObjectiveError(f"labels must be {tuple(hidden.shape[:1])}, got {tuple(labels.shape)}.")
    if starts is not None and (starts.dtype is not torch.bool or starts.shape != head.weight.shape[:1]):
        raise ObjectiveError(
            f"starts must be bool {tuple(head.weight.shape[:1])}, one for each id of the head, got "
            f"{starts.dtype} {tuple(starts.shape)}."
        )
