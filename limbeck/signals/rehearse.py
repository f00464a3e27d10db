"""What a store would cost and lose, measured on a sample before anything is committed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.core.forward_model import project
from limbeck.core.outputs import Outputs
from limbeck.core.seeds import generator
from limbeck.core.signals import Head
from limbeck.signals import codec_hidden, codec_topk
from limbeck.signals.payload import HiddenPayload, Payload, TopKPayload
from limbeck.signals.support import Draws, Top, logits_of, support_of, top_of

CHOICES = (
    Payload(topk=TopKPayload(mass=0.99, max=32)),
    Payload(topk=TopKPayload(mass=0.999, max=64)),
    Payload(topk=TopKPayload(mass=0.999, max=64, draws=0)),
    Payload(topk=TopKPayload(mass=0.999, max=128)),
    Payload(topk=TopKPayload(mass=0.9999, max=255)),
    Payload(hidden=HiddenPayload(dtype="int8")),
    Payload(hidden=HiddenPayload(dtype="bfloat16")),
)
"""What a rehearsal compares without being asked for anything else."""

_ROWS_AT_ONCE = 128


@dataclass(frozen=True)
class Rehearsed:
    """One choice on the sample.

    Attributes:
        payload: the choice.
        bytes: a position; codebook, head and names of rows left out.
        ids: kept of a position, on average, drawn ones left out; None of hidden states.
        draws: ids drawn from the tail of a position, on average; None of hidden states.
        tail: share of the mass outside the kept ids, on average; None of hidden states.
        kept_kl: KL(teacher || stored) over the kept ids and the bucket for all others: what rounding
            costs, in nats; of hidden states, over the whole vocabulary.
        full_kl: KL(teacher || stored) over the whole vocabulary, the stored tail spread evenly, in nats;
            drawn ids, which are right on average, left out.
    """

    payload: Payload
    bytes: float
    ids: float | None
    draws: float | None
    tail: float | None
    kept_kl: float
    full_kl: float


class Sample(NamedTuple):
    """A teacher's answers on some positions.

    Attributes:
        tops: the likeliest and the drawn ids, for each choice of `topk`.
        entropies: [N] of the whole distribution, in nats.
        hidden: [N, H] last hidden states; None where the head is more than linear.
        head: the vocabulary head.
    """

    tops: Mapping[TopKPayload, Top]
    entropies: NDArray[np.float64]
    hidden: Tensor | None
    head: Head | None


def sample_of(answers: Iterable[tuple[Outputs, Tensor]], choices: Sequence[Payload]) -> Sample:
    """A sample for these choices, from answers and the positions [B, T] of each that count."""
    entropies, hidden, head = [], [], None
    tops: dict[TopKPayload, list[Top]] = {choice.topk: [] for choice in choices if choice.topk is not None}
    random = generator(0, "rehearse")
    for answer, chosen in answers:
        uniforms = random.random(int(chosen.sum()))
        for kept, found in tops.items():
            draws = Draws(kept.mass, kept.most_draws, uniforms) if kept.most_draws else None
            found.append(top_of(answer, chosen, most=kept.max, draws=draws))
        for logits in logits_of(answer, chosen):
            for part in logits.split(_ROWS_AT_ONCE):
                log_p = part.log_softmax(-1)
                entropies.append(-(log_p.exp() * log_p).sum(-1).double().cpu().numpy())
        if answer.hidden is not None and isinstance(answer.head, Head):
            hidden.append(answer.hidden[chosen].cpu())
            head = answer.head
    joined = {kept: Top.joined(found) for kept, found in tops.items()}
    return Sample(joined, np.concatenate(entropies), torch.cat(hidden) if hidden else None, head)


def rehearse(sample: Sample, choices: Sequence[Payload], *, vocabulary: int) -> list[Rehearsed]:
    """Each choice on the sample; hidden payloads only where the teacher's head is linear."""
    found = []
    for payload in choices:
        if payload.topk is not None:
            found.append(_topk(sample, payload, payload.topk, vocabulary))
        elif payload.hidden is not None and sample.hidden is not None and sample.head is not None:
            found.append(_hidden(sample.hidden, sample.head, payload, payload.hidden.dtype))
    return found


def kept_kl(support: codec_topk.Support, stored: codec_topk.Support) -> NDArray[np.float64]:
    """[N] KL(support || stored) over the kept ids and the bucket, in nats."""
    support, stored = support.kept(), stored.kept()
    owners = np.repeat(np.arange(len(support.counts)), support.counts)
    inside = np.exp(support.log_probs) * (support.log_probs - stored.log_probs)
    tail = np.exp(support.log_tails)
    with np.errstate(invalid="ignore"):
        outside = np.where(tail > 0, tail * (support.log_tails - stored.log_tails), 0.0)
    return outside + np.bincount(owners, inside, minlength=len(tail)).astype(np.float64)


def _topk(sample: Sample, payload: Payload, kept: TopKPayload, vocabulary: int) -> Rehearsed:
    support = support_of(sample.tops[kept], mass=kept.mass, vocabulary=vocabulary)
    count = len(support.counts)
    book = codec_topk.learn_codebook(
        support, vocabulary=vocabulary, quantisation=kept.quantisation, most=kept.max, positions=count
    )
    streams = codec_topk.encode(book, support, [count])
    stored = codec_topk.decode(book, streams)
    drawn = 0.0 if support.draws is None else float(support.draws.mean())
    lost = kept_kl(support, stored)
    support, stored = support.kept(), stored.kept()
    # Below the support: sum p log p is what the entropy leaves over.
    owners = np.repeat(np.arange(count), support.counts)
    plogp = np.bincount(owners, np.exp(support.log_probs) * support.log_probs, minlength=count)
    tail = np.exp(support.log_tails)
    others = np.maximum(vocabulary - support.counts, 1)
    spread = np.where(tail > 0, stored.log_tails - np.log(others), 0.0)
    inside = lost - np.where(tail > 0, tail * (np.log(np.maximum(tail, 1e-300)) - stored.log_tails), 0.0)
    full = inside - sample.entropies - plogp - tail * spread
    size = sum(len(one) for column in streams.values() for one in column)
    means = (float(values.mean()) for values in (tail, lost, full))
    return Rehearsed(payload, size / count, float(support.counts.mean()), drawn, *means)


def _hidden(hidden: Tensor, head: Head, payload: Payload, dtype: str) -> Rehearsed:
    count, width = hidden.shape
    streams = codec_hidden.encode(hidden, [count], dtype=dtype)
    stored = codec_hidden.decode(streams, width=width, dtype=dtype)
    total = 0.0
    for exact, rounded in zip(hidden.split(_ROWS_AT_ONCE), stored.split(_ROWS_AT_ONCE), strict=True):
        device = head.weight.device
        log_p = project(exact.to(device), head).float().log_softmax(-1)
        log_q = project(rounded.to(device), head).float().log_softmax(-1)
        total += float((log_p.exp() * (log_p - log_q)).sum())
    size = sum(len(one) for column in streams.values() for one in column)
    return Rehearsed(payload, size / count, None, None, None, total / count, total / count)
