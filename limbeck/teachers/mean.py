"""Means of what several teachers say, where it is dense or stored."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from limbeck.core.errors import ConfigError
from limbeck.core.forward_model import project
from limbeck.core.mixture import side_by_side
from limbeck.core.outputs import Outputs
from limbeck.core.signals import Head, MixedHead, TopK

_LAST = torch.iinfo(torch.int64).max  # sorts empty places behind every id


def normalised(asked: Sequence[Tensor], weights: Sequence[float]) -> tuple[Tensor, ...]:
    """Weights over the members that answer each unit; equal ones where nobody does.

    Args:
        asked: of each member, [...] true where it answers.
        weights: of the members.

    Returns:
        of each member, [...] float32; they add up to 1.
    """
    each = torch.stack([one.float() * weight for one, weight in zip(asked, weights, strict=True)])
    total = each.sum(0)
    shares = torch.where(total > 0, each / total.masked_fill(total == 0, 1.0), 1 / len(weights))
    return tuple(shares.unbind(0))


def mixed_logits(
    found: Sequence[Outputs],
    weights: Sequence[float] | Sequence[Tensor],
    temperatures: Sequence[float],
    *,
    mean: str,
) -> Tensor:
    """Dense mean of distributions [..., V] or [B, C]: log of mean probabilities, or mean of logits.

    Args:
        found: hidden states with a head, or logits.
        weights: numbers, or one [...] each.
        temperatures: that divide the logits.
        mean: "probabilities" or "logits".

    Raises:
        ConfigError: one output has no probabilities to average.
    """
    total: Tensor | None = None
    for one, weight, temperature in zip(found, weights, temperatures, strict=True):
        logits = _dense(one) / temperature
        factor = torch.as_tensor(weight, device=logits.device, dtype=torch.float32)
        factor = factor.unsqueeze(-1) if factor.dim() else factor
        if mean == "logits":
            part = logits * factor
            total = part if total is None else total + part
            continue
        if logits.shape[-1] == 1:
            raise ConfigError(
                "mean must be logits or losses for models with one output, got probabilities: there are none."
            )
        part = logits.log_softmax(-1) + factor.log()
        total = part if total is None else torch.logaddexp(total, part)
    assert total is not None
    return total


def mixed_topk(topks: Sequence[TopK], weights: Sequence[float] | Sequence[Tensor]) -> TopK:
    """The mean of stored distributions: their ids united, masses added, tails added.

    A teacher that has not stored an id keeps that id's mass in its tail, so the mean understates the
    id by at most w_i times the tail of teacher i, and its own tail holds what is missing. Drawn ids are
    left out: an id that one teacher keeps would be drawn for the other.

    Args:
        topks: [..., K_i] each.
        weights: numbers, or one [...] each.

    Returns:
        [..., K] with K at most the sum of the K_i; the mass is 1 as in each of them.
    """
    logs = [torch.as_tensor(weight, device=topks[0].ids.device).log() for weight in weights]
    ids = torch.cat([one.ids for one in topks], -1)
    parts = [one.log_probs + _wide(log) for one, log in zip(topks, logs, strict=True)]
    mass = torch.cat(parts, -1).exp()
    keys, order = ids.masked_fill((ids < 0) | (mass == 0), _LAST).sort(-1)
    mass = mass.gather(-1, order)
    is_new = torch.ones_like(keys, dtype=torch.bool)
    is_new[..., 1:] = keys[..., 1:] != keys[..., :-1]
    places = is_new.cumsum(-1) - 1
    summed = torch.zeros_like(mass).scatter_add_(-1, places, mass)
    united = torch.full_like(keys, -1).scatter_(-1, places, keys)
    empty = (united == _LAST) | (summed == 0)
    most = max(1, int((~empty).sum(-1).max()))
    tails = torch.stack([one.log_tail + log for one, log in zip(topks, logs, strict=True)])
    return TopK(
        united.masked_fill(empty, -1)[..., :most],
        summed.log().masked_fill(empty, -torch.inf)[..., :most],
        tails.logsumexp(0),
    )


def softened(answer: Outputs, temperature: float) -> Outputs:
    """The same answer with logits divided by a temperature."""
    if temperature == 1:
        return answer
    if answer.logits is not None:
        return replace(answer, logits=answer.logits / temperature)
    if answer.topk is not None or answer.hidden is None:
        raise ConfigError(f"temperature must be 1 with a top-k store, got {temperature:g}. Leave it out.")
    assert isinstance(answer.head, Head)
    if answer.head.softcap is None:
        return replace(answer, head=replace(answer.head, scale=answer.head.scale / temperature))
    everywhere = torch.ones_like(answer.hidden[..., 0])
    mixed = MixedHead((answer.head,), (1.0,), (temperature,), "logits")
    return replace(answer, hidden=side_by_side([answer.hidden], [everywhere]), head=mixed)


def _dense(answer: Outputs) -> Tensor:
    if answer.logits is not None:
        return answer.logits.float()
    assert answer.hidden is not None and answer.head is not None
    return project(answer.hidden, answer.head).float()


def _wide(weight: Tensor) -> Tensor:
    return weight.unsqueeze(-1) if weight.dim() else weight
