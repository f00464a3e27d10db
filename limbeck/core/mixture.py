"""Logits of several teachers together: projected one after the other, and added to one sum.

Of a chunk of rows there are two blocks of logits at a time, however many teachers there are: the sum,
and those of the teacher that is being added. A teacher is projected for the rows it answers alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from limbeck.core.signals import Head, MixedHead

_BLOCK = 3 * 2**17  # numbers that are passed over together: on a CPU they stay in the cache

Project = Callable[[Tensor, Head, Tensor], object]
"""Writes the logits of hidden states [R, H] before the softcap into a float32 [R, V]."""


@dataclass(frozen=True)
class _Share:
    """One teacher in a chunk: the rows [K] it answers, its states [K, H] and weights [K] there."""

    head: Head
    temperature: float
    rows: Tensor
    hidden: Tensor
    weights: Tensor


def mix(hidden: Tensor, head: MixedHead, *, out: Tensor, spare: Tensor, project: Project) -> None:
    """Write the logits of the mixture into `out`.

    A mean of probabilities gives log-probabilities: they are normalised.

    Args:
        hidden: [R, width] as `MixedHead` reads it.
        head: of the teachers.
        out: [R, V] float32.
        spare: [R, V] float32, overwritten.
        project: of one teacher's head.
    """
    of_probabilities = head.mean == "probabilities"
    block = max(1, _BLOCK // out.shape[1]) if out.device.type == "cpu" else max(1, out.shape[0])
    started = False
    for share in _shares(hidden, head):
        whole = share.rows.numel() == out.shape[0]
        into = out if whole and not started else spare[: share.rows.numel()]
        project(share.hidden, share.head, into)
        if into is not out and not started:
            out.fill_(-torch.inf if of_probabilities else 0.0)
        for start in range(0, into.shape[0], block):
            part = slice(start, start + block)
            _weigh(into[part], share, share.weights[part], of_probabilities)
            if into is not out:
                _add(into[part], out[part] if whole else out, share.rows[part], whole, of_probabilities)
        started = True


def mixed(hidden: Tensor, head: MixedHead) -> Tensor:
    """Logits [..., V] of the mixture, in float32."""
    flat = hidden.reshape(-1, hidden.shape[-1])
    out = torch.empty(flat.shape[0], head.vocabulary, dtype=torch.float32, device=hidden.device)
    mix(flat, head, out=out, spare=torch.empty_like(out), project=_projected)
    return out.view(*hidden.shape[:-1], -1)


def side_by_side(states: list[Tensor], answers: list[Tensor]) -> Tensor:
    """What a `MixedHead` reads, [..., width]: hidden states, and [...] 1 where each teacher answers."""
    dtype = states[0].dtype
    columns = torch.stack([one.to(dtype) for one in answers], dim=-1)
    return torch.cat([*(state.to(dtype) for state in states), columns], dim=-1)


def _shares(hidden: Tensor, head: MixedHead) -> Iterator[_Share]:
    states = hidden.split([*(one.width for one in head.heads), len(head.heads)], dim=-1)
    weights = states[-1].float() * hidden.new_tensor(head.weights, dtype=torch.float32)
    total = weights.sum(-1, keepdim=True)
    # Where nobody answers nothing is learnt; equal weights keep such rows finite.
    weights = torch.where(total > 0, weights / total.clamp_min(torch.finfo(torch.float32).tiny), 1.0)
    weights = weights / weights.sum(-1, keepdim=True)
    for place, (one, temperature) in enumerate(zip(head.heads, head.temperatures, strict=True)):
        rows = weights[:, place].nonzero().squeeze(-1)
        if rows.numel() == hidden.shape[0]:
            yield _Share(one, temperature, rows, states[place], weights[:, place])
        elif rows.numel():
            yield _Share(one, temperature, rows, states[place][rows], weights[rows, place])


def _weigh(logits: Tensor, share: _Share, weights: Tensor, of_probabilities: bool) -> None:
    """Make the logits of one teacher what it adds to the sum."""
    cap = share.head.softcap
    if cap is not None:
        logits.div_(cap).tanh_().mul_(cap)
    if share.temperature != 1:
        logits.div_(share.temperature)
    if of_probabilities:
        logits.sub_((logits.logsumexp(-1) - weights.log()).unsqueeze(-1))
    else:
        logits.mul_(weights.unsqueeze(-1))


def _add(part: Tensor, out: Tensor, rows: Tensor, whole: bool, of_probabilities: bool) -> None:
    if not of_probabilities:
        out.add_(part) if whole else out.index_add_(0, rows, part)
    elif whole:
        torch.logaddexp(out, part, out=out)
    else:
        out[rows] = torch.logaddexp(out[rows], part)


def _projected(hidden: Tensor, head: Head, out: Tensor) -> None:
    product = torch.nn.functional.linear(hidden.to(head.weight.dtype), head.weight, head.bias)
    out.copy_(product)
    if head.scale != 1:
        out.mul_(head.scale)
