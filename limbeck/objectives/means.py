"""Which units a term's mean runs over, and the weight of each: one mask is summed over and counted.

Tokens are those in the loss; where rows have no targets, or one for the whole row (encoders, classifiers),
all that are read, as always for terms that regularise. Sequences are the rows of data that have such a token.
"""

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.core.units import Unit

CHUNKS = ("teacher_chunks", "teacher_chunk_states")
"""Signals of chunks of text; a term that reads one has one value a chunk."""

_UNITS = tuple(Unit)
_BY_DIMENSIONS = (Unit.BATCH, Unit.SEQUENCE, Unit.TOKEN)


def counts(batch: Batch, term: Term, teacher: Outputs | None) -> Tensor:
    """[4] tokens, sequences, batches and chunks that a term learns from in a micro-batch."""
    mask = _tokens(batch, term)
    if _targets_of_tokens(batch):
        sequences = batch.sequences[mask].unique().numel()
    else:
        sequences = int(mask.any(1).sum())
    numbers = (mask.sum(), sequences, mask.any(), _chunk_count(term, teacher))
    return torch.stack([torch.as_tensor(number, device=mask.device).double() for number in numbers])


def divisor(counts: Tensor, unit: Unit) -> Tensor:
    """[] the number of units of a step; 1 for a group that is absent, whose sum is 0."""
    return counts[_UNITS.index(unit)].clamp_min(1).float()


def has_units(batch: Batch, term: Term) -> bool:
    """Whether a micro-batch holds units of the term's group; one of another source has other signals."""
    if term.pointwise and term.on is None:
        return True
    return bool(_tokens(batch, term).any())


def target_weights(batch: Batch, term: Term, counts: Tensor) -> Tensor:
    """The weight of each target, [B, T] or [B], in its term's mean; 0 where nothing is learnt from it."""
    if _targets_of_tokens(batch):
        return _token_weights(batch, term, counts)
    learnt = batch.learnt
    if learnt is None:
        raise ConfigError("objectives on logits or labels need rows with targets, got rows without any.")
    return _row_weights(batch, term, counts, learnt)


def mean_part(values: Tensor, batch: Batch, term: Term, counts: Tensor) -> Tensor:
    """[] what a micro-batch's values add to the mean of a term that is not computed position by position.

    Args:
        values: [B, T], [B] or [], or one a chunk for terms that read `CHUNKS`.
        batch: that they are of.
        term: says which units are learnt from.
        counts: [4] of the whole step.

    Raises:
        ConfigError: the shape is none of a unit, or the term asks what such units do not have.
    """
    unit = unit_of(values, term)
    if unit in (Unit.CHUNK, Unit.BATCH):
        return values.sum() / divisor(counts, unit)
    by_token = unit is Unit.TOKEN and term.mean is Unit.TOKEN
    total, one = divisor(counts, Unit.TOKEN if by_token else Unit.SEQUENCE), torch.ones_like(counts)
    if unit is Unit.TOKEN:
        weights = _token_weights(batch, term, one)
    else:
        if _is_packed(batch):
            raise ConfigError(f"{term.name} gives one value a row: its rows must not share packs.")
        weights = _row_weights(batch, term, one, _tokens(batch, term).any(1))
    if values.shape != weights.shape:
        raise ConfigError(
            f"{term.name} must give one value for each of {tuple(weights.shape)} {unit}s, got "
            f"{tuple(values.shape)}."
        )
    chosen = weights != 0  # a value that does not count may be anything
    return (values[chosen] * weights[chosen]).sum() / total


def unit_of(values: Tensor, term: Term) -> Unit:
    """The unit that an objective on inner signals has one value of.

    Raises:
        ConfigError: there is none of that shape, or the term asks what such units do not have.
    """
    if set(term.signals) & set(CHUNKS):
        unit = Unit.CHUNK
    elif values.dim() < len(_BY_DIMENSIONS):
        unit = _BY_DIMENSIONS[values.dim()]
    else:
        raise ConfigError(
            f"{term.name} must give one value a token, a row or a batch, got {tuple(values.shape)}."
        )
    if unit in (Unit.CHUNK, Unit.BATCH):
        asked = {"on": term.on, "weighted_by": term.weighted_by}
        asked["mean"] = None if term.mean is Unit.TOKEN else str(term.mean)
        given = [f"{name}: {value}" for name, value in asked.items() if value is not None]
        if given:
            raise ConfigError(
                f"{term.name} gives one value a {unit}, which has neither group nor weight of its own, got "
                f"{', '.join(given)}. Leave that out."
            )
    return unit


def _tokens(batch: Batch, term: Term) -> Tensor:
    """[B, T] true at the tokens that the term learns from."""
    if term.regularises:
        return batch.attention_mask.bool()
    learnt, group = batch.learnt, _group(batch, term)
    if learnt is not None and learnt.dim() > 1:
        return learnt if group is None else learnt & group
    mask = batch.attention_mask.bool()
    for rows in (learnt, group):
        if rows is not None:
            mask = mask & rows[:, None]
    return mask


def _targets_of_tokens(batch: Batch) -> bool:
    return batch.targets is not None and batch.targets.dim() > 1


def _is_packed(batch: Batch) -> bool:
    return "position_ids" in batch.inputs and "attention_mask" not in batch.inputs


def _token_weights(batch: Batch, term: Term, counts: Tensor) -> Tensor:
    chosen = _tokens(batch, term)
    if term.mean is not Unit.SEQUENCE:
        weights = chosen.float() / divisor(counts, Unit.TOKEN)
    elif _targets_of_tokens(batch):
        sequences = batch.sequences
        lengths = torch.bincount(sequences[chosen], minlength=int(sequences.max()) + 1)
        weights = chosen.float() / divisor(counts, Unit.SEQUENCE) / lengths[sequences].clamp_min(1)
    else:
        lengths = chosen.sum(1, keepdim=True)
        weights = chosen.float() / divisor(counts, Unit.SEQUENCE) / lengths.clamp_min(1)
    factor = _weighting(batch, term)
    return weights if factor is None else weights * factor.view(*factor.shape, *[1] * (2 - factor.dim()))


def _row_weights(batch: Batch, term: Term, counts: Tensor, learnt: Tensor) -> Tensor:
    group, factor = _group(batch, term), _weighting(batch, term)
    chosen = learnt if group is None or group.dim() > 1 else learnt & group
    weights = chosen.float() / divisor(counts, Unit.SEQUENCE)
    if factor is not None and factor.dim() > 1:
        raise ConfigError(
            f"{term.name} gives one value a row, and '{term.weighted_by}' weighs tokens. "
            "Leave weighted_by out."
        )
    return weights if factor is None else weights * factor


def _group(batch: Batch, term: Term) -> Tensor | None:
    if term.on is None:
        return None
    if batch.groups is None or term.on not in batch.group_names:
        raise ConfigError(
            f"{term.name} learns on '{term.on}', but the rows know {batch.group_names or 'one task'}."
        )
    return batch.groups == batch.group_names.index(term.on)


def _weighting(batch: Batch, term: Term) -> Tensor | None:
    if term.weighted_by is None:
        return None
    found = batch.signals.get(term.weighted_by)
    if found is None:
        raise ConfigError(
            f"{term.name} is weighted by '{term.weighted_by}', but the batch has "
            f"{', '.join(batch.signals) or 'no signals of its own'}."
        )
    return found


def _chunk_count(term: Term, teacher: Outputs | None) -> int:
    """Merged chunks of a term on likelihoods, chunks before merging of one on states."""
    if teacher is None or teacher.chunks is None:
        return 0
    likelihoods = "teacher_chunks" in term.signals
    return len(teacher.chunks.log_probs if likelihoods else teacher.chunks.lasts)
