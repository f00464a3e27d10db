"""Log-likelihoods of chunks of text under a student."""

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.head_likelihoods import linear_likelihoods
from limbeck.core.masks import IGNORE
from limbeck.core.outputs import Outputs
from limbeck.core.precision import wide
from limbeck.core.signals import Head
from limbeck.core.signals.chunks import Chunks


def likelihoods_at(answer: Outputs, places: Tensor, labels: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of a label, and log of the mass on `starts`, at some places of a batch.

    Args:
        answer: a model's distribution, as hidden states and head or as logits.
        places: [P] in the flattened [B, T].
        labels: [P] ids; IGNORE gives 0.
        starts: [V] True at ids whose mass is summed.

    Returns:
        [P] and [P], float32; gradients flow to the answer.
    """
    if answer.hidden is not None and isinstance(answer.head, Head):
        return linear_likelihoods(answer.hidden.flatten(0, 1)[places], answer.head, labels, starts)
    assert answer.logits is not None, "a distribution was asked for"
    log_probs = wide(answer.logits.flatten(0, 1)[places]).log_softmax(-1)
    of_labels = log_probs.gather(-1, labels.clamp_min(0)[:, None]).squeeze(-1)
    return of_labels.where(labels != IGNORE, 0.0), log_probs[:, starts].logsumexp(-1)


def chunk_likelihoods(student: Outputs, chunks: Chunks, batch: Batch) -> Tensor:
    """[N] log-likelihood of each merged chunk under the student; gradients flow to its answer."""
    assert batch.targets is not None
    members, ends = chunks.members.flatten(), chunks.ends
    is_read = members >= 0
    is_read[ends[ends >= 0]] = True
    places = is_read.nonzero().squeeze(-1)
    labels, starts = likelihoods_at(student, places, batch.targets.flatten()[places], chunks.starts)
    inside = members[places] >= 0
    total = labels.new_zeros(len(ends)).index_add(0, members[places][inside], labels[inside])
    found = torch.searchsorted(places, ends.clamp_min(0)).clamp_max(max(0, len(places) - 1))
    if len(places):
        total = total + starts[found].where(ends >= 0, 0.0)
    return total.clamp_max(0.0)
