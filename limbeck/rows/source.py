"""Rendered rows as micro-batches: padded, or packed end to end. The only module here that needs torch."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.fingerprint import fingerprint
from limbeck.core.masks import IGNORE, at_predictors, next_token_targets
from limbeck.rows.pack import pack
from limbeck.rows.rendered import RenderedRows
from limbeck.rows.rendering import Rendering
from limbeck.rows.text_kind import PADDING, text_kind

_NO_CHUNK = -1  # as in the column `chunks` of `rows.aligned.pairs`


class PaddedSource:
    """One row an entry, padded on the right to the longest of the batch."""

    def __init__(
        self, rendered: Dataset, rendering: Rendering, pad_id: int, decoder_start_id: int | None = None
    ) -> None:
        """Hold the rows of `rows.render.render` in flat arrays.

        With the column `chunks` of `rows.aligned.pairs`, batches have it as a signal.

        Raises:
            ConfigError: a seq2seq model without `decoder_start_id`.
        """
        self._kind = text_kind(rendering.model_kind)
        if self._kind.encoder_decoder and decoder_start_id is None:
            raise ConfigError(
                f"decoder_start_id must be given for a {self._kind.name} model, got None. "
                "Set decoder_start_token_id in the model's config."
            )
        self.rendering = rendering
        self._pad_id, self._start_id = pad_id, decoder_start_id
        self.rows = RenderedRows(
            rendered,
            lists=("input_ids", *(name for name, _ in self._kind.list_columns), "chunks"),
            numbers=(*self._kind.number_columns, *(("group",) if rendering.group_names else ())),
        )
        self.lengths: list[int] = self.rows.lengths

    def __len__(self) -> int:
        return len(self.rows)

    def fingerprint(self) -> str:
        """Equal for equal tokens, targets and choices."""
        special = [self._pad_id, self._start_id]
        choices = [asdict(self.rendering), self.rows.row_ids, self.rows.digests(), special]
        return fingerprint([type(self).__name__, *choices])

    def batch(self, indices: Sequence[int]) -> Batch:
        """The rows at `indices`, in that order."""
        inputs, targets = self._kind.collate(
            self.rows, indices, pad=self._pad_id, decoder_start=self._start_id
        )
        groups = None
        if "group" in self.rows.numbers and targets is not None:
            groups = np.where(targets == IGNORE, IGNORE, self.rows.numbers["group"][list(indices)][:, None])
        return Batch(
            inputs={name: torch.from_numpy(array) for name, array in inputs.items()},
            targets=_tensor(targets),
            row_ids=[[self.rows.row_ids[index]] for index in indices],
            groups=_tensor(groups),
            group_names=self.rendering.group_names,
            signals=self._chunks(indices, targets),
        )

    def _chunks(self, indices: Sequence[int], targets: NDArray[np.int64] | None) -> dict[str, Tensor]:
        if "chunks" not in self.rows.lists or targets is None:
            return {}
        chunks, _ = self.rows.padded("chunks", indices, _NO_CHUNK)
        return {"chunks": _expected(chunks, targets)}


class PackedSource:
    """Several rows an entry, end to end, told apart by positions that start at 0 again (causal models only).

    There is no attention mask: transformers builds the block-diagonal mask from `position_ids`, and only
    when the model is called with `use_cache=False` (with the default cache the rows of a pack see each
    other). Models that ignore positions cannot be fed packs; ask `rows.packable.reads_packs`. Padding at
    the end of a short pack has position 0 throughout, so every padding token is a sequence of its own.
    """

    def __init__(
        self,
        rendered: Dataset,
        rendering: Rendering,
        max_length: int,
        seed: int,
        pad_id: int = 0,
        *,
        apart: Sequence[str] | None = None,
    ) -> None:
        """Pack the rows of `rows.render.render` into entries of at most `max_length` tokens.

        Rows whose entries in `apart` differ never share a pack.

        Raises:
            ConfigError: the rendering is not for a causal model.
            RowError: a row is longer than `max_length`.
        """
        if not text_kind(rendering.model_kind).packs:
            raise ConfigError(
                f"packing must be off for {rendering.model_kind} models, got packed rows. Use PaddedSource."
            )
        self.rendering = rendering
        self._padded = PaddedSource(rendered, rendering, pad_id)
        self._pad_id = pad_id
        self.packs = _packs(self._padded.lengths, max_length, seed, apart)
        self.lengths: list[int] = [sum(self._padded.lengths[row] for row in one) for one in self.packs]

    def __len__(self) -> int:
        return len(self.packs)

    def fingerprint(self) -> str:
        """Equal for equal tokens, targets, choices and packs."""
        return fingerprint([type(self).__name__, self._padded.fingerprint(), self.packs])

    def batch(self, indices: Sequence[int]) -> Batch:
        """The packs at `indices`, in that order."""
        shape = (len(indices), max((self.lengths[index] for index in indices), default=0))
        input_ids = np.full(shape, self._pad_id, dtype=np.int64)
        position_ids = np.zeros(shape, dtype=np.int64)
        is_target = np.zeros(shape, dtype=np.bool_)
        sequence_ids = np.full(shape, PADDING, dtype=np.int64)
        group_ids = np.full(shape, IGNORE, dtype=np.int64)
        chunks = np.full(shape, _NO_CHUNK, dtype=np.int64)
        columns, groups = self._padded.rows.lists, self._padded.rows.numbers.get("group")
        for line, index in enumerate(indices):
            start = 0
            for number, row in enumerate(self.packs[index]):
                ids = columns["input_ids"][row]
                here = (line, slice(start, start + len(ids)))
                input_ids[here] = ids
                position_ids[here] = np.arange(len(ids))
                is_target[here] = columns["is_target"][row]
                sequence_ids[here] = number
                group_ids[here] = IGNORE if groups is None else groups[row]
                if "chunks" in columns:
                    chunks[here] = columns["chunks"][row]
                start += len(ids)
        targets = next_token_targets(input_ids, is_target, sequence_ids)
        return Batch(
            inputs={"input_ids": torch.from_numpy(input_ids), "position_ids": torch.from_numpy(position_ids)},
            targets=_tensor(targets),
            row_ids=[[self._padded.rows.row_ids[row] for row in self.packs[index]] for index in indices],
            groups=None if groups is None else _tensor(np.where(targets == IGNORE, IGNORE, group_ids)),
            group_names=self.rendering.group_names,
            packed_lengths=[self.lengths[index] for index in indices],
            signals={"chunks": _expected(chunks, targets)} if "chunks" in columns else {},
        )


def _packs(
    lengths: Sequence[int], max_length: int, seed: int, apart: Sequence[str] | None
) -> list[list[int]]:
    if apart is None:
        return pack(lengths, max_length, seed)
    found = []
    for name in sorted(set(apart)):
        rows = [row for row, own in enumerate(apart) if own == name]
        packed = pack([lengths[row] for row in rows], max_length, seed)
        found += [[rows[place] for place in one] for one in packed]
    return found


def _expected(chunks: NDArray[np.int64], targets: NDArray[np.int64]) -> Tensor:
    """The chunk within its row of the token that each output must predict; -1 where nothing is learnt."""
    return torch.from_numpy(np.where(targets == IGNORE, _NO_CHUNK, at_predictors(chunks, _NO_CHUNK)))


def _tensor(array: NDArray[Any] | None) -> Tensor | None:
    return None if array is None else torch.from_numpy(array)
