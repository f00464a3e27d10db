"""The same rows in two batches, in the student's tokens and in the teacher's: which place answers which."""

from dataclasses import dataclass

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.signals.rows import rows_of

_NOTHING = -1


@dataclass(frozen=True)
class Frame:
    """One side of a text.

    Attributes:
        batch: the rows in this side's tokens.
        rows: [B, T] number of the row that each place belongs to; -1 at padding.
    """

    batch: Batch
    rows: Tensor

    @classmethod
    def of(cls, batch: Batch) -> "Frame":
        """A batch, padded or packed, whose rows are counted in order."""
        rows = torch.full(batch.inputs["input_ids"].shape, _NOTHING, dtype=torch.long)
        for number, row in enumerate(rows_of(batch)):
            rows[row.line, row.start : row.stop] = number
        return cls(batch, rows.to(batch.device))

    @property
    def targets(self) -> Tensor:
        """[B * T] what each place must predict."""
        assert self.batch.targets is not None
        return self.batch.targets.flatten()

    def chunk_keys(self, stride: int) -> Tensor:
        """[B * T] a number for each chunk of each row, ascending with both; -1 outside."""
        chunks = self.batch.signals["chunks"]
        return (self.rows * stride + chunks).where(chunks >= 0, _NOTHING).flatten()

    def order_keys(self, stride: int) -> Tensor:
        """[B * T] row and rank of each learnt target in its row; -1 elsewhere."""
        loss_mask = self.batch.loss_mask
        assert loss_mask is not None
        flat, rows = loss_mask.flatten(), self.rows.flatten()
        before = flat.cumsum(0) - flat.long()
        count = int(self.rows.max()) + 1
        first = before.new_full((count,), flat.numel())
        inside = rows >= 0
        first.scatter_reduce_(0, rows[inside], before[inside], "amin")
        return (rows * stride + before - first[rows.clamp_min(0)]).where(flat, _NOTHING)


def places_of(keys: Tensor, wanted: Tensor) -> Tensor:
    """Where each of `wanted` lies in `keys`; -1 where it does not, and for negative ones.

    Args:
        keys: [P], different as far as they are not negative.
        wanted: any shape.
    """
    order = keys.argsort()
    ordered = keys[order]
    found = torch.searchsorted(ordered, wanted).clamp_max(len(ordered) - 1)
    return order[found].where((ordered[found] == wanted) & (wanted >= 0), _NOTHING)
