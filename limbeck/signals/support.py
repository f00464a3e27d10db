"""From a teacher's answer to the smallest set of ids that holds the mass asked for."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.core.forward_model import project
from limbeck.core.outputs import Outputs
from limbeck.core.signals import TopK
from limbeck.signals.codec_topk import Support
from limbeck.signals.draws import draw

_CHUNK = 2**24  # logits at a time: 64 MB of float32
_GROUP, _GROUPS_A_KEPT_ID = 8, 32  # below 16,384 ids and at 64 kept ones, topk alone is as fast
_LEAST_TAIL = 1e-9  # of a support that leaves ids out: float32 logits know no smaller one


class Top(NamedTuple):
    """The likeliest ids of N positions, as they come from the teacher's device.

    Attributes:
        ids: [N, max] likeliest first.
        log_probs: [N, max].
        kept: [N] how many of them are kept where ids are drawn; None: nothing is drawn anywhere.
        drawn_ids: [N, S] drawn from the others, likeliest first; -1 at empty places.
        drawn_log_probs: [N, S].
    """

    ids: NDArray[np.int32]
    log_probs: NDArray[np.float32]
    kept: NDArray[np.int32] | None = None
    drawn_ids: NDArray[np.int32] | None = None
    drawn_log_probs: NDArray[np.float32] | None = None

    @classmethod
    def joined(cls, parts: "Sequence[Top]") -> "Top":
        """One after another."""
        columns: list[Any] = [None if c[0] is None else np.concatenate(c) for c in zip(*parts, strict=True)]
        return cls(*columns)

    def at(self, rows: slice) -> "Top":
        """Some of the positions."""
        parts: list[Any] = [None if part is None else part[rows] for part in self]
        return Top(*parts)


class Draws(NamedTuple):
    """Where and how ids of the tail are drawn.

    Attributes:
        mass: they are drawn where the likeliest ids do not reach it.
        most: ids that are drawn of a position.
        uniforms: [N] a number in [0, 1) for each position, on which its draws depend.
    """

    mass: float
    most: int
    uniforms: NDArray[np.float64]


@torch.no_grad()
def top_of(answer: Outputs, chosen: Tensor, *, most: int, draws: Draws | None = None) -> Top:
    """The `most` likeliest ids of the positions `chosen` [B, T], and ids drawn from the others.

    Log-probabilities are in float32 over the teacher's whole vocabulary, at temperature 1.
    """
    parts, start = [], 0
    for logits in logits_of(answer, chosen):
        values, ids = _likeliest(logits, min(most, logits.shape[-1]))
        # In place: new memory of this size costs more than the softmax. log p of the likeliest id is
        # log(softmax), which is several times faster than logsumexp on a CPU.
        p = torch.softmax(logits, -1, out=logits)
        likeliest = p.gather(-1, ids[:, :1]).log()
        log_probs = values - values[:, :1] + likeliest
        drawn: tuple[NDArray[Any], ...] = ()
        if draws is not None and draws.most:
            here = draws._replace(uniforms=draws.uniforms[start : start + len(ids)])
            start += len(ids)
            kept, others = _drawn(p, ids, log_probs.exp().sum(-1) < draws.mass, here)
            # Drawn ids fill a position; where rounding met one twice, or there is no tail, none count.
            lacks = (others >= 0).sum(-1) + kept.to(others.device) < ids.shape[1]
            others = others.masked_fill(lacks[:, None], -1)
            found = p.gather(-1, others.clamp_min(0)).log().masked_fill(others < 0, -torch.inf)
            found, order = found.sort(-1, descending=True)
            drawn = kept.numpy(), others.gather(-1, order).int().cpu().numpy(), found.cpu().numpy()
        parts.append(Top(ids.int().cpu().numpy(), log_probs.cpu().numpy(), *drawn))
    return Top.joined(parts)


def _drawn(p: Tensor, ids: Tensor, is_more: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """How many ids are kept [N], on the CPU, and those drawn [N, S]; -1 where none is."""
    count, most = ids.shape
    kept = torch.full((count,), most, dtype=torch.int32)
    drawn = torch.full((count, draws.most), -1, device=p.device)
    rows = is_more.nonzero().squeeze(-1)
    if len(rows) and most < p.shape[-1]:
        uniforms = torch.from_numpy(draws.uniforms)[rows.cpu()]
        few = p if len(rows) == count else p[rows]
        found = draw(few, ids[rows], uniforms, draws=draws.most)
        kept[rows.cpu()], drawn[rows] = found.kept.int().cpu(), found.ids
    return kept, drawn


def _likeliest(logits: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The `most` largest logits of each row [N, V] and their ids, largest first.

    On a CPU, columns are first compared with those that lie a share of V apart: the largest ids are in the
    `most` groups with the largest best. That reads all logits once, at the speed of memory.
    """
    count, vocabulary = logits.shape
    groups = vocabulary // _GROUP
    if logits.device.type != "cpu" or groups < _GROUPS_A_KEPT_ID * most:
        return logits.topk(most, dim=-1)
    head = logits[:, : groups * _GROUP].unflatten(-1, (_GROUP, groups))
    best = head.amax(1).topk(most, dim=-1, sorted=False).indices
    inside = best[:, None] + groups * torch.arange(_GROUP)[:, None]
    rest = torch.arange(groups * _GROUP, vocabulary).expand(count, -1)
    ids = torch.cat([inside.flatten(1), rest], -1)
    values, places = logits.gather(-1, ids).topk(most, dim=-1)
    return values, ids.gather(-1, places)


def logits_of(answer: Outputs, chosen: Tensor) -> Iterator[Tensor]:
    """Logits [n, V] of the positions `chosen`, some at a time, in float32."""
    if answer.logits is not None:
        yield answer.logits[chosen].float()
        return
    assert answer.hidden is not None and answer.head is not None
    for part in answer.hidden[chosen].split(max(1, _CHUNK // answer.head.vocabulary)):
        yield project(part, answer.head).float()


def support_of(top: Top, *, mass: float, vocabulary: int) -> Support:
    """The smallest set of each position that reaches `mass`, at most all of `top`, then what was drawn.

    Places of `top` with log-probability -inf are empty.
    """
    log_probs = top.log_probs.astype(np.float64)
    held = np.exp(log_probs).cumsum(1)
    most = log_probs.shape[1]
    counts = np.minimum((held < mass).sum(1) + 1, np.isfinite(log_probs).sum(1))
    ids, draws = top.ids, None
    if top.kept is not None and top.drawn_ids is not None and top.drawn_log_probs is not None:
        draws = (top.drawn_ids >= 0).sum(1)
        counts = np.where(draws > 0, top.kept, counts)
    inside = np.arange(most) < counts[:, None]
    tails = np.maximum(1 - held[np.arange(len(counts)), counts - 1], _LEAST_TAIL)
    log_tails = np.where(counts == vocabulary, -np.inf, np.log(tails))
    if draws is not None:
        assert top.drawn_ids is not None and top.drawn_log_probs is not None
        ids = np.concatenate([ids, top.drawn_ids], 1)
        log_probs = np.concatenate([log_probs, top.drawn_log_probs], 1)
        inside = np.concatenate([inside, top.drawn_ids >= 0], 1)
        counts = counts + draws
    return Support(counts, ids[inside].astype(np.int64), log_probs[inside], log_tails, draws)


def topk_of(support: Support) -> TopK:
    """[N, K] as objectives take it; a position's empty places have id -1 and log-probability -inf."""
    count = len(support.counts)
    return topk_at([support], np.arange(count), count)


def topk_at(supports: Sequence[Support], rows: NDArray[np.int64], total: int) -> TopK:
    """[total, K] with the positions of `supports`, one after another, at `rows` [N]; nothing elsewhere."""
    draws = [np.zeros_like(one.counts) if one.draws is None else one.draws for one in supports]
    most = max(int((one.counts - drawn).max(initial=1)) for one, drawn in zip(supports, draws, strict=True))
    most_drawn = max(int(drawn.max(initial=0)) for drawn in draws)
    ids, log_probs = _empty(total, most + most_drawn)
    log_tails = np.zeros(total, dtype=np.float32)
    start = 0
    for one, drawn in zip(supports, draws, strict=True):
        here = rows[start : start + len(one.counts)]
        start += len(here)
        # A mask over whole rows is several times faster than one index an id.
        inside = np.arange(most) < (one.counts - drawn)[:, None]
        if most_drawn:
            inside = np.concatenate([inside, np.arange(most_drawn) < drawn[:, None]], 1)
        for column, found in ((ids, one.ids), (log_probs, one.log_probs)):
            block = np.full(inside.shape, column.dtype.type(-1 if column is ids else -np.inf))
            block[inside] = found
            column[here] = block
        log_tails[here] = one.log_tails
    names, scores, tails = (torch.from_numpy(part) for part in (ids, log_probs, log_tails))
    kept = TopK(names[:, :most], scores[:, :most], tails)
    if supports[0].draws is None:
        return kept
    return kept._replace(drawn_ids=names[:, most:], drawn_log_probs=scores[:, most:])


def _empty(total: int, places: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    ids = np.full((total, places), -1, dtype=np.int64)
    return ids, np.full((total, places), -np.inf, dtype=np.float32)
