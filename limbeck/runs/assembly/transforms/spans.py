"""Phrases in the batches of a training, where a term compares neighbours inside them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from limbeck.core.batch import Batch
from limbeck.core.masks import at_predictors
from limbeck.core.transform import Transform
from limbeck.rows.spans import OUTSIDE, spans_of_pieces
from limbeck.runs.assembly.transforms.training import Training


@dataclass(frozen=True)
class SpanMarker(Transform):
    """Adds the signal `spans` to batches.

    Attributes:
        tokenizer: spells the tokens.
    """

    signals: ClassVar[frozenset[str]] = frozenset({"spans"})
    tokenizer: Any

    def __call__(self, window: Sequence[Batch], step: int, total_steps: int) -> list[Batch]:
        """The batches with the phrase of each learnt target, [B, T]."""
        return [self._marked(batch) for batch in window]

    def _marked(self, batch: Batch) -> Batch:
        assert batch.loss_mask is not None
        ids = batch.inputs["input_ids"].tolist()
        of_tokens = np.stack([spans_of_pieces(self.tokenizer.convert_ids_to_tokens(row)) for row in ids])
        spans = torch.from_numpy(at_predictors(of_tokens, OUTSIDE)).to(batch.device)
        spans = spans.where(batch.loss_mask, OUTSIDE)
        return replace(batch, signals={**batch.signals, "spans": spans})


def make(training: Training) -> SpanMarker | None:
    """The marker of the step, or None where no term compares inside phrases."""
    reads = any("spans" in term.signals for term in training.step.objective)
    return SpanMarker(training.tokenizer) if reads else None
