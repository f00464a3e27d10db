"""Advantages of sampled tokens from the gap between teacher and student."""

import torch
from torch import Tensor

from limbeck.core.rollouts import Advantages


def rewards_to_go(
    rewards: Tensor, loss_mask: Tensor, discount: float, *, sequences: Tensor | None = None
) -> Tensor:
    """R_t = r_t + discount * R_next over the positions in the loss of each sequence.

    Args:
        rewards: [B, T].
        loss_mask: [B, T], True where a token was sampled; others are skipped, not counted.
        discount: gamma, in [0, 1].
        sequences: [B, T], the number of each position's sequence; None: a row is one.

    Returns:
        [B, T], 0 where nothing was sampled.
    """
    total, found = rewards.new_zeros(len(rewards)), torch.zeros_like(rewards)
    for t in reversed(range(rewards.shape[1])):
        total = _from_here(total, sequences, t)
        total = torch.where(loss_mask[:, t], rewards[:, t] + discount * total, total)
        found[:, t] = torch.where(loss_mask[:, t], total, 0.0)
    return found


def advantages(
    rewards: Tensor, loss_mask: Tensor, settings: Advantages, *, sequences: Tensor | None = None
) -> Tensor:
    """How much better than the student expects each sampled token is, before whitening.

    Args:
        rewards: [B, T], log p(y_t) - log q(y_t) in nats.
        loss_mask: [B, T], True where a token was sampled.
        settings: see `Advantages`.
        sequences: [B, T], the number of each position's sequence; None: a row is one.

    Returns:
        [B, T], 0 where nothing was sampled.

    Source:
        Gu et al. 2024, arXiv:2306.08543, equation 6, and microsoft/LMOps,
        `minillm/losses.py:Loss._get_advantages_and_returns`: the official code sums from t on
        (`return_from="t"`), which counts the single-step part twice beside its own exact term;
        and tinker-cookbook, `distillation/train_on_policy.py:incorporate_kl_penalty` (t, discount 0).
    """
    rewards = rewards / settings.reward_scale
    if settings.reward_limit:
        rewards = rewards.clamp(-settings.reward_limit, settings.reward_limit)
    found = rewards_to_go(rewards, loss_mask, settings.discount, sequences=sequences)
    left = rewards_to_go(torch.ones_like(rewards), loss_mask, 1.0, sequences=sequences)
    if settings.return_from == "t+1":
        found, left = _next(found, loss_mask, sequences), left - 1
    if settings.length_normalised:
        found = found / left.clamp_min(1)
    return torch.where(loss_mask, found, 0.0)


def whitened(values: Tensor, loss_mask: Tensor) -> Tensor:
    """Mean 0 and deviation 1 over the positions in the loss; the official code counts padding in."""
    chosen = values[loss_mask]
    if chosen.numel() < 2:  # a single number has no deviation
        return torch.zeros_like(values)
    spread = chosen.std(correction=0).clamp_min(_LEAST_SPREAD)
    return torch.where(loss_mask, (values - chosen.mean()) / spread, 0.0)


def _next(values: Tensor, loss_mask: Tensor, sequences: Tensor | None) -> Tensor:
    """The value at the next position in the loss of each sequence; 0 after the last."""
    following, found = values.new_zeros(len(values)), torch.zeros_like(values)
    for t in reversed(range(values.shape[1])):
        following = _from_here(following, sequences, t)
        found[:, t] = following
        following = torch.where(loss_mask[:, t], values[:, t], following)
    return found


def _from_here(carried: Tensor, sequences: Tensor | None, t: int) -> Tensor:
    """[B] what position t takes over from t + 1: nothing from another sequence."""
    if sequences is None or t + 1 == sequences.shape[1]:
        return carried
    return torch.where(sequences[:, t] == sequences[:, t + 1], carried, 0.0)


_LEAST_SPREAD = 1e-8
