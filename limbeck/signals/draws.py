"""Ids drawn from a distribution's tail, so that few of them stand for all of it without bias."""

from typing import NamedTuple

import torch
from torch import Tensor

_BLOCK = 32  # outcomes added up before anything is looked for: least work at 4,096 to 150,000 ids


class Drawn(NamedTuple):
    """Draws of N positions.

    Attributes:
        kept: [N] how many of the likeliest ids are kept; the draws are from all others.
        ids: [N, S] drawn ids, all different; -1 at empty places.
    """

    kept: Tensor
    ids: Tensor


def draw(p: Tensor, likeliest: Tensor, uniforms: Tensor, *, draws: int) -> Drawn:
    """Keep the likeliest ids and draw from the others, each id i of them with probability S p_i / tail.

    There are `max` ids in all. `max - draws` are kept, and more while the next one would be drawn for
    sure: with fewer draws S, each stands for more of the tail. Systematic draws: points at equal distances
    in the tail's distribution function, shifted together by one uniform number. Every id is met in
    proportion to its probability, as in independent draws, but none twice, so that each stands for
    tail / S, and the scatter is smaller.

    Args:
        p: [N, V] probabilities; overwritten.
        likeliest: [N, max] ids, likeliest first, max < V.
        uniforms: [N] in [0, 1).
        draws: at most, below `max`.

    Source:
        Anshumann et al. 2025, arXiv:2503.16870, draw independently, with weights, from the whole
        distribution. Systematic draws: Madow 1949, doi:10.1214/aoms/1177729988.
    """
    most = likeliest.shape[-1]
    top = p.gather(-1, likeliest)
    kept = _kept(top, draws)
    ranks = torch.arange(most, device=p.device)
    p.scatter_(-1, likeliest, top.masked_fill(ranks < kept[:, None], 0.0))
    sizes = (most - kept)[:, None]
    places = torch.arange(draws, device=p.device)
    # Float64, or ids far into a large vocabulary would be as likely as the rounding lets them.
    dtype = torch.float32 if p.device.type == "mps" else torch.float64
    shares = (places + uniforms.to(p.device, dtype)[:, None]) / sizes
    ids = _at(p, shares.clamp_max(1))
    found = p.gather(-1, ids)
    # Rounding may meet an id twice where it is almost sure to be drawn, and a tail may be empty.
    again = torch.zeros_like(ids, dtype=torch.bool)
    again[:, 1:] = ids[:, 1:] == ids[:, :-1]
    return Drawn(kept, ids.masked_fill((places >= sizes) | again | (found == 0), -1))


def _kept(top: Tensor, draws: int) -> Tensor:
    """[N] the fewest kept ids, from max - draws to max - 1, of which the next is not drawn for sure."""
    most = top.shape[-1]
    rest = (1 - top.sum(-1, keepdim=True)).clamp_min(0)
    tails = rest + top.flip(-1).cumsum(-1).flip(-1)[:, most - draws :]
    sizes = torch.arange(draws, 0, -1, device=top.device)
    is_fair = top[:, most - draws :] * sizes <= tails
    is_fair[:, -1] = True
    return most - draws + is_fair.int().argmax(-1)


def _at(p: Tensor, shares: Tensor) -> Tensor:
    """[N, S] the ids at these shares of the distribution function of `p` [N, V]; its sum need not be 1."""
    size = p.shape[-1] // _BLOCK * _BLOCK
    blocks = p[:, :size].unflatten(-1, (-1, _BLOCK)).sum(-1)
    block, share = _first_above(torch.cat([blocks, p[:, size:].sum(-1, keepdim=True)], -1), shares)
    inside = block.unsqueeze(-1) * _BLOCK + torch.arange(_BLOCK, device=p.device)
    beyond = inside >= p.shape[-1]
    ids = inside.clamp_max(p.shape[-1] - 1)
    values = p.gather(-1, ids.flatten(1)).view(ids.shape).masked_fill(beyond, 0.0)
    place, _ = _first_above(values.flatten(0, 1), share.flatten()[:, None])
    return ids.gather(-1, place.view(*block.shape, 1)).squeeze(-1)


def _first_above(masses: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """[N, S] the outcome at each share of the distribution function of `masses` [N, M], and how far in."""
    precise = masses.to(shares.dtype)
    above = precise.cumsum(-1)
    total = above[:, -1:]
    # Below the total itself, so that no outcome without mass is met.
    points = torch.minimum(shares * total, torch.nextafter(total, torch.zeros_like(total)))
    found = torch.searchsorted(above, points.contiguous(), right=True).clamp_max(masses.shape[-1] - 1)
    mass = precise.gather(-1, found)
    share = (points - above.gather(-1, found) + mass) / mass.clamp_min(torch.finfo(mass.dtype).tiny)
    return found, share.clamp(0, 1)
