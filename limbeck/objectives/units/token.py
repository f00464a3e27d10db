"""Tokens: those in the loss.

Where rows have no targets, or one for the whole row (encoders, classifiers), all tokens that are read, as
always for terms that regularise.
"""

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.objectives.units.unit import Unit


def tokens_of(batch: Batch, term: Term) -> Tensor:
    """[B, T] true at the tokens that the term learns from.

    Raises:
        ConfigError: the rows do not know the term's group.
    """
    if term.regularises:
        return batch.attention_mask.bool()
    loss_mask, group = batch.loss_mask, _group(batch, term)
    if loss_mask is not None and batch.per_token:
        return loss_mask if group is None else loss_mask & group
    mask = batch.attention_mask.bool()
    for rows in (loss_mask, group):
        if rows is not None:
            mask = mask & rows[:, None]
    return mask


def sequences_of(batch: Batch) -> Tensor:
    """[B, T] number of the sequence that each token belongs to."""
    if batch.per_token:
        return batch.sequences
    shape = batch.attention_mask.shape
    return torch.arange(shape[0], device=batch.device)[:, None].expand(shape)


def weighting(batch: Batch, term: Term) -> Tensor | None:
    """What the term's units are weighted by, [B, T] or [B]; None where it is nothing.

    Raises:
        ConfigError: the batch has no such signal.
    """
    if term.weighted_by is None:
        return None
    found = batch.signals.get(term.weighted_by)
    if found is None:
        raise ConfigError(
            f"{term.name} is weighted by '{term.weighted_by}', but the batch has "
            f"{', '.join(batch.signals) or 'no signals of its own'}."
        )
    return found


def _mask(batch: Batch, term: Term, teacher: Outputs | None) -> Tensor:
    return tokens_of(batch, term)


def _weigh(weights: Tensor, batch: Batch, term: Term) -> Tensor:
    if term.mean == "sequence":
        chosen, sequences = weights != 0, sequences_of(batch)
        lengths = torch.bincount(sequences[chosen], minlength=int(sequences.max()) + 1)
        weights = weights / lengths[sequences].clamp_min(1)
    factor = weighting(batch, term)
    return weights if factor is None else weights * factor.view(*factor.shape, *[1] * (2 - factor.dim()))


def _group(batch: Batch, term: Term) -> Tensor | None:
    if term.on is None:
        return None
    if batch.groups is None or term.on not in batch.group_names:
        raise ConfigError(
            f"{term.name} learns on '{term.on}', but the rows know {batch.group_names or 'one task'}."
        )
    return batch.groups == batch.group_names.index(term.on)


TOKEN = Unit("token", _mask, _weigh)
