"""Phrases in the batches of a training, where a term compares neighbours inside them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from limbeck.core.batch import Batch
from limbeck.rows.spans import OUTSIDE, spans_of_pieces


@dataclass(frozen=True)
class SpanMarker:
    """Adds the signal `spans` to batches.

    Attributes:
        tokenizer: spells the tokens.
    """

    tokenizer: Any

    def __call__(self, window: Sequence[Batch]) -> list[Batch]:
        """The batches with the phrase of each learnt target, [B, T]."""
        return [self._marked(batch) for batch in window]

    def _marked(self, batch: Batch) -> Batch:
        assert batch.learnt is not None
        ids = batch.inputs["input_ids"].tolist()
        found = np.full((len(ids), len(ids[0])), OUTSIDE, dtype=np.int64)
        for line, row in enumerate(ids):
            # Position t predicts token t + 1.
            found[line, :-1] = spans_of_pieces(self.tokenizer.convert_ids_to_tokens(row))[1:]
        spans = torch.from_numpy(found).to(batch.device).where(batch.learnt, OUTSIDE)
        return replace(batch, signals={**batch.signals, "spans": spans})
