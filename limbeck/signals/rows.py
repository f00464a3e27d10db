"""Rows of a batch, padded or packed: where each lies, and a checksum of what was read."""

import zlib
from typing import NamedTuple

import torch
from numpy.typing import NDArray

from limbeck.core.batch import Batch
from limbeck.core.masks import IGNORE


class Row(NamedTuple):
    """A row of data inside a batch.

    Attributes:
        id: of the row.
        line: of the batch that it lies in.
        start: position in the line of its first output.
        stop: position behind its last output.
        checksum: CRC-32 of the token ids that are read (and, of a seq2seq model, answered).
    """

    id: str
    line: int
    start: int
    stop: int
    checksum: int


def rows_of(batch: Batch) -> list[Row]:
    """The rows of a batch, in order; equal rows are equal whatever they are padded or packed with."""
    ids = batch.inputs["input_ids"].cpu().numpy()
    if "position_ids" in batch.inputs and "attention_mask" not in batch.inputs:
        return _packed(batch, ids, batch.inputs["position_ids"].cpu().numpy())
    lengths = batch.inputs["attention_mask"].sum(1).tolist()
    targets = batch.targets
    if "decoder_input_ids" not in batch.inputs or targets is None:
        return [
            Row(one[0], line, 0, size, checksum(ids[line, :size]))
            for line, (one, size) in enumerate(zip(batch.row_ids, lengths, strict=True))
        ]
    answers, sizes = targets.cpu().numpy(), (targets != IGNORE).sum(1).tolist()
    return [
        Row(one[0], line, 0, answer, checksum(ids[line, :size], answers[line, :answer]))
        for line, (one, size, answer) in enumerate(zip(batch.row_ids, lengths, sizes, strict=True))
    ]


def checksum(*ids: NDArray) -> int:
    """CRC-32 of token ids as little-endian 32-bit numbers, one array after another."""
    found = 0
    for array in ids:
        found = zlib.crc32(array.astype("<i4").tobytes(), found)
    return found


def _packed(batch: Batch, ids: NDArray, positions: NDArray) -> list[Row]:
    found = []
    for line, names in enumerate(batch.row_ids):
        # Padding behind the rows has position 0 throughout: its first token ends the last row.
        starts = [*(positions[line] == 0).nonzero()[0].tolist(), ids.shape[1]]
        for number, name in enumerate(names):
            start, stop = starts[number], starts[number + 1]
            found.append(Row(name, line, start, stop, checksum(ids[line, start:stop])))
    return found


def learnt_of(batch: Batch) -> torch.Tensor:
    """[B, T] positions whose distribution is worth keeping: those that learn something."""
    loss_mask = batch.loss_mask
    assert loss_mask is not None and loss_mask.dim() == 2, "causal and seq2seq rows have targets"
    return loss_mask
