"""Sequences: the rows of data that have a token in the loss."""

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.objectives.units.token import sequences_of, tokens_of, weighting
from limbeck.objectives.units.unit import Unit


def _mask(batch: Batch, term: Term, teacher: Outputs | None) -> Tensor:
    """[S], in packs more than there are rows in the batch."""
    sequences = sequences_of(batch)
    found = sequences[tokens_of(batch, term)]
    return torch.bincount(found, minlength=int(sequences.max()) + 1) > 0


def _weigh(weights: Tensor, batch: Batch, term: Term) -> Tensor:
    if "position_ids" in batch.inputs and "attention_mask" not in batch.inputs:
        raise ConfigError(f"{term.name} gives one value a row: its rows must not share packs.")
    factor = weighting(batch, term)
    if factor is not None and factor.dim() > 1:
        raise ConfigError(
            f"{term.name} gives one value a row, and '{term.weighted_by}' weighs tokens. "
            "Leave weighted_by out."
        )
    return weights if factor is None else weights * factor


SEQUENCE = Unit("sequence", _mask, _weigh)
