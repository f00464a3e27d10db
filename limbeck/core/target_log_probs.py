"""Log-probabilities of what each position must predict, of any form of a distribution."""

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.forward_model import project
from limbeck.core.head_likelihoods import linear_likelihoods
from limbeck.core.outputs import Outputs
from limbeck.core.precision import wide
from limbeck.core.signals import Head


def target_log_probs(answer: Outputs, batch: Batch) -> Tensor:
    """Log-probability of each target; the vocabulary is projected at the targets alone, a chunk at a time.

    Args:
        answer: a model's distribution, as hidden states and head or as logits.
        batch: that it is the answer to.

    Returns:
        Like the targets, [B, T] or [B], float32, in nats; 0 where there is none; with gradients.

    Raises:
        ConfigError: the rows have no targets, or the answer holds the likeliest ids alone.
    """
    targets, loss_mask = batch.targets, batch.loss_mask
    if targets is None or loss_mask is None:
        raise ConfigError("log-probabilities need rows with targets, got rows without any.")
    labels = targets[loss_mask]
    if answer.hidden is not None and isinstance(answer.head, Head):
        found, _ = linear_likelihoods(answer.hidden[loss_mask], answer.head, labels)
    elif answer.logits is not None:
        found = _at(answer.logits[loss_mask], labels)
    elif answer.hidden is not None and answer.head is not None:
        found = _at(project(answer.hidden[loss_mask], answer.head), labels)
    else:
        raise ConfigError(
            "log-probabilities must come from a model, or a store of its hidden states, got the likeliest "
            "ids of each position, among which an answer's own may be missing. Capture payload: {hidden: {}}."
        )
    return found.new_zeros(targets.shape).masked_scatter(loss_mask, found)


def _at(logits: Tensor, labels: Tensor) -> Tensor:
    return wide(logits).log_softmax(-1).gather(-1, labels[:, None]).squeeze(-1)


def answer_losses(answer: Outputs, batch: Batch) -> list[Tensor]:
    """For each row of a batch the cross-entropies of its targets in their order, [targets] in nats."""
    loss_mask = batch.loss_mask
    losses = -target_log_probs(answer, batch)
    assert loss_mask is not None, "a row that is scored has targets"
    counts = loss_mask.view(len(loss_mask), -1).sum(-1)
    return list(torch.split(losses[loss_mask], counts.tolist()))
