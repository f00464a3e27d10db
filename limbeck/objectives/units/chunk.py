"""Chunks of text that two tokenizers bound, as a teacher with another tokenizer finds them."""

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.outputs import Outputs
from limbeck.core.signals.chunks import Chunks
from limbeck.core.term import Term
from limbeck.objectives.units.unit import Unit


def _merged(batch: Batch, term: Term, teacher: Outputs | None) -> Tensor:
    """[N]; likelihoods are of chunks that end where the teacher expects a word to end."""
    found = _chunks(teacher)
    return torch.ones(0 if found is None else len(found.log_probs), dtype=torch.bool, device=batch.device)


def _unmerged(batch: Batch, term: Term, teacher: Outputs | None) -> Tensor:
    """[N]; states are compared at the last token of each."""
    found = _chunks(teacher)
    return torch.ones(0 if found is None else len(found.lasts), dtype=torch.bool, device=batch.device)


def _chunks(teacher: Outputs | None) -> Chunks | None:
    return None if teacher is None else teacher.taps.get(("chunks", None))


CHUNK = Unit("chunk", _merged, counts_answers=True)
UNMERGED_CHUNK = Unit("unmerged chunk", _unmerged, counts_answers=True)
