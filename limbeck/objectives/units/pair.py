"""Pairs of answers: two rows next to each other, the chosen one first."""

from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.objectives.units.token import tokens_of
from limbeck.objectives.units.unit import Unit


def _mask(batch: Batch, term: Term, teacher: Outputs | None) -> Tensor:
    """[P]; a pair counts where either answer has a token that is learnt."""
    if batch.rows % 2:
        raise ConfigError(f"{term.name} compares two rows each, got {batch.rows}. Set task: preference.")
    return tokens_of(batch, term).any(-1).view(-1, 2).any(-1)


PAIR = Unit("pair", _mask)
