"""Micro-batches: those that have a token in the loss."""

from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.objectives.units.token import tokens_of
from limbeck.objectives.units.unit import Unit


def _mask(batch: Batch, term: Term, teacher: Outputs | None) -> Tensor:
    return tokens_of(batch, term).any()


BATCH = Unit("batch", _mask)
