"""Which units a term's mean runs over, and the weight of each: one mask is summed over and counted."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, get_type_hints

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.objectives.units.batch import BATCH
from limbeck.objectives.units.sequence import SEQUENCE
from limbeck.objectives.units.token import TOKEN, tokens_of
from limbeck.objectives.units.unit import Unit

_BY_DIMENSIONS = (BATCH, SEQUENCE, TOKEN)
_COUNTED = (TOKEN, SEQUENCE, BATCH)  # the columns of counts; behind them the unit that an objective declares


@cache
def declared_unit(objective: Callable[..., Any]) -> Unit | None:
    """The unit in an objective's return type, `-> Annotated[Tensor, CHUNK]`; None where shapes say it."""
    hints = get_type_hints(objective, include_extras=True) if inspect.isfunction(objective) else {}
    notes = getattr(hints.get("return"), "__metadata__", ())
    return next((note for note in notes if isinstance(note, Unit)), None)


def counts(batch: Batch, term: Term, teacher: Outputs | None) -> Tensor:
    """[4] tokens, sequences, batches, and units of its own that a term learns from in a micro-batch."""
    own = declared_unit(term.objective)
    units = _COUNTED if own is None else (*_COUNTED, own)
    found = [unit.mask(batch, term, teacher).sum().double() for unit in units]
    return torch.stack(found if own is not None else [*found, torch.zeros_like(found[0])])


def divisor(counts: Tensor, unit: Unit) -> Tensor:
    """[] the number of units of a step; 1 for a group that is absent, whose sum is 0."""
    column = _COUNTED.index(unit) if unit in _COUNTED else len(_COUNTED)
    return counts[column].clamp_min(1).float()


def has_units(batch: Batch, term: Term) -> bool:
    """Whether a micro-batch holds units of the term's group; one of another source has other signals."""
    if term.pointwise and term.on is None:
        return True
    return bool(tokens_of(batch, term).any())


def target_weights(batch: Batch, term: Term, counts: Tensor) -> Tensor:
    """The weight of each target, [B, T] or [B], in its term's mean; 0 where nothing is learnt from it."""
    if batch.targets is None:
        raise ConfigError("objectives on logits or labels need rows with targets, got rows without any.")
    unit = SEQUENCE if batch.per_row else TOKEN
    mask = unit.mask(batch, term, None)
    return _weighed(unit, mask, batch, term, divisor(counts, _divided_by(unit, term)))


def mean_part(values: Tensor, batch: Batch, term: Term, teacher: Outputs | None, counts: Tensor) -> Tensor:
    """[] what a micro-batch's values add to the mean of a term that is not computed position by position.

    Args:
        values: one a unit.
        batch: that they are of.
        term: says which units are learnt from.
        teacher: its answer, which may say how many units there are.
        counts: [4] of the whole step.

    Raises:
        ConfigError: the shape is none of a unit, or the term asks what such units do not have.
    """
    unit = unit_of(values, term)
    mask = unit.mask(batch, term, teacher)
    weights = _weighed(unit, mask, batch, term, counts.new_ones((), dtype=torch.float32))
    if values.shape != weights.shape:
        raise ConfigError(
            f"{term.name} must give one value for each of {tuple(weights.shape)} {unit.name}s, got "
            f"{tuple(values.shape)}."
        )
    chosen = weights != 0  # a value that does not count may be anything
    return (values[chosen] * weights[chosen]).sum() / divisor(counts, _divided_by(unit, term))


def unit_of(values: Tensor, term: Term) -> Unit:
    """The unit that an objective on inner signals has one value of.

    Raises:
        ConfigError: there is none of that shape, or the term asks what such units do not have.
    """
    unit = declared_unit(term.objective)
    if unit is None and values.dim() < len(_BY_DIMENSIONS):
        unit = _BY_DIMENSIONS[values.dim()]
    if unit is None:
        raise ConfigError(
            f"{term.name} must give one value a token, a row or a batch, got {tuple(values.shape)}."
        )
    if unit.weigh is None:
        asked = {"on": term.on, "weighted_by": term.weighted_by}
        asked["mean"] = None if term.mean == "token" else term.mean
        given = [f"{name}: {value}" for name, value in asked.items() if value is not None]
        if given:
            raise ConfigError(
                f"{term.name} gives one value a {unit.name}, which has neither group nor weight of its own, "
                f"got {', '.join(given)}. Leave that out."
            )
    return unit


def _divided_by(unit: Unit, term: Term) -> Unit:
    """The unit whose number divides the sum over `unit`."""
    return SEQUENCE if unit is TOKEN and term.mean == "sequence" else unit


def _weighed(unit: Unit, mask: Tensor, batch: Batch, term: Term, total: Tensor) -> Tensor:
    weights = mask.float() / total
    return weights if unit.weigh is None else unit.weigh(weights, batch, term)
