"""From a teacher's answer to the smallest set of ids that holds the mass asked for."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.core.outputs import Outputs
from limbeck.core.reader import project
from limbeck.core.signals import TopK
from limbeck.signals.codec_topk import Support

_CHUNK = 2**24  # logits at a time: 64 MB of float32
_LEAST_TAIL = 1e-9  # of a support that leaves ids out: float32 logits know no smaller one


class Top(NamedTuple):
    """The likeliest ids of N positions, as they come from the teacher's device.

    Attributes:
        ids: [N, max] likeliest first.
        log_probs: [N, max].
    """

    ids: NDArray[np.int32]
    log_probs: NDArray[np.float32]


def top_of(answer: Outputs, chosen: Tensor, *, most: int) -> Top:
    """The `most` likeliest ids of the positions `chosen` [B, T].

    Log-probabilities are in float32 over the teacher's whole vocabulary, at temperature 1.
    """
    parts = []
    for logits in logits_of(answer, chosen):
        values, ids = logits.topk(min(most, logits.shape[-1]), dim=-1)
        # log p of the likeliest id is log(softmax), which is several times faster than logsumexp on a CPU.
        likeliest = logits.softmax(-1).gather(-1, ids[:, :1]).log()
        log_probs = values - values[:, :1] + likeliest
        parts.append(Top(ids.int().cpu().numpy(), log_probs.cpu().numpy()))
    return Top(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def logits_of(answer: Outputs, chosen: Tensor) -> Iterator[Tensor]:
    """Logits [n, V] of the positions `chosen`, some at a time, in float32."""
    if answer.logits is not None:
        yield answer.logits[chosen].float()
        return
    assert answer.hidden is not None and answer.head is not None
    for part in answer.hidden[chosen].split(max(1, _CHUNK // answer.head.vocabulary)):
        yield project(part, answer.head).float()


def support_of(top: Top, *, mass: float, vocabulary: int) -> Support:
    """The smallest set of each position that reaches `mass`, at most all of `top`."""
    log_probs = top.log_probs.astype(np.float64)
    held = np.exp(log_probs).cumsum(1)
    most = log_probs.shape[1]
    counts = np.minimum((held < mass).sum(1) + 1, most)
    inside = np.arange(most) < counts[:, None]
    tails = np.maximum(1 - held[np.arange(len(counts)), counts - 1], _LEAST_TAIL)
    log_tails = np.where(counts == vocabulary, -np.inf, np.log(tails))
    return Support(counts, top.ids[inside].astype(np.int64), log_probs[inside], log_tails)


def topk_of(support: Support) -> TopK:
    """[N, K] as objectives take it; a position's empty places have id -1 and log-probability -inf."""
    count, most = len(support.counts), int(support.counts.max(initial=1))
    return topk_at([support], np.arange(count), count, most)


def topk_at(supports: Sequence[Support], rows: NDArray[np.int64], total: int, most: int) -> TopK:
    """[total, most] with the positions of `supports`, one after another, at `rows` [N]; nothing elsewhere."""
    ids = np.full((total, most), -1, dtype=np.int64)
    log_probs = np.full((total, most), -np.inf, dtype=np.float32)
    log_tails = np.zeros(total, dtype=np.float32)
    start = 0
    for one in supports:
        here = rows[start : start + len(one.counts)]
        start += len(here)
        # A mask over whole rows is several times faster than one index an id.
        inside = np.arange(most) < one.counts[:, None]
        for column, found in ((ids, one.ids), (log_probs, one.log_probs)):
            block = np.full(inside.shape, column.dtype.type(-1 if column is ids else -np.inf))
            block[inside] = found
            column[here] = block
        log_tails[here] = one.log_tails
    return TopK(*(torch.from_numpy(part) for part in (ids, log_probs, log_tails)))
