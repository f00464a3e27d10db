"""Rendered rows as micro-batches: padded, or packed end to end. The only module here that needs torch."""

import hashlib
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
from limbeck.core.masks import IGNORE, at_predictors, next_token_targets, shift_right
from limbeck.rows.pack import pack
from limbeck.rows.ragged import Ragged
from limbeck.rows.rendering import Rendering

_PADDING = -1  # sequence id of padding: negative, as `next_token_targets` asks
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
        if rendering.model_kind == "seq2seq" and decoder_start_id is None:
            raise ConfigError(
                "decoder_start_id must be given for a seq2seq model, got None. "
                "Set decoder_start_token_id in the model's config."
            )
        self.rendering = rendering
        self._pad_id, self._start_id = pad_id, decoder_start_id
        self._row_ids: list[str] = list(rendered["row_id"])
        self._columns = {
            name: Ragged.of_column(rendered, name)
            for name in ("input_ids", "is_target", "target_ids", "token_type_ids", "chunks")
            if name in rendered.column_names
        }
        self._labels = np.asarray(rendered["label"]) if "label" in rendered.column_names else None
        self._groups = np.asarray(rendered["group"]) if rendering.group_names else None
        self.lengths: list[int] = self._columns["input_ids"].lengths.tolist()

    def __len__(self) -> int:
        return len(self._row_ids)

    def fingerprint(self) -> str:
        """Equal for equal tokens, targets and choices."""
        arrays = [array for ragged in self._columns.values() for array in (ragged.values, ragged.offsets)]
        arrays += [array for array in (self._labels, self._groups) if array is not None]
        digests = [hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for array in arrays]
        special = [self._pad_id, self._start_id]
        return fingerprint([type(self).__name__, asdict(self.rendering), self._row_ids, digests, special])

    def batch(self, indices: Sequence[int]) -> Batch:
        """The rows at `indices`, in that order."""
        input_ids, lengths = self._padded("input_ids", indices, self._pad_id)
        is_read = np.arange(input_ids.shape[1]) < lengths[:, None]
        inputs = {"input_ids": input_ids, "attention_mask": is_read.astype(np.int64)}
        targets: NDArray[np.int64] | None = None
        if self.rendering.model_kind == "causal":
            is_target, _ = self._padded("is_target", indices, 0)
            sequence_ids = np.where(is_read, 0, _PADDING)
            targets = next_token_targets(input_ids, is_target.astype(np.bool_), sequence_ids)
        elif self.rendering.model_kind == "seq2seq":
            assert self._start_id is not None
            targets, _ = self._padded("target_ids", indices, IGNORE)
            inputs["decoder_input_ids"] = shift_right(targets, self._start_id, self._pad_id)
        elif self._labels is not None:
            targets = self._labels[list(indices)].astype(np.int64)
            types, type_lengths = self._padded("token_type_ids", indices, 0)
            if type_lengths.any():
                inputs["token_type_ids"] = types
        groups = None
        if self._groups is not None and targets is not None:
            groups = np.where(targets == IGNORE, IGNORE, self._groups[list(indices)][:, None])
        return Batch(
            inputs={name: torch.from_numpy(array) for name, array in inputs.items()},
            targets=_tensor(targets),
            row_ids=[[self._row_ids[index]] for index in indices],
            groups=_tensor(groups),
            group_names=self.rendering.group_names,
            signals=self._chunks(indices, targets),
        )

    def _chunks(self, indices: Sequence[int], targets: NDArray[np.int64] | None) -> dict[str, Tensor]:
        if "chunks" not in self._columns or targets is None:
            return {}
        chunks, _ = self._padded("chunks", indices, _NO_CHUNK)
        return {"chunks": _expected(chunks, targets)}

    def _padded(
        self, name: str, indices: Sequence[int], fill: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = [self._columns[name][index] for index in indices]
        lengths = np.asarray([len(row) for row in rows], dtype=np.int64)
        padded = np.full((len(rows), int(lengths.max(initial=0))), fill, dtype=np.int64)
        for target, row in zip(padded, rows, strict=True):
            target[: len(row)] = row
        return padded, lengths


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
        if rendering.model_kind != "causal":
            raise ConfigError(
                f"packing must be off for {rendering.model_kind} models, got packed rows. Use PaddedSource."
            )
        self.rendering = rendering
        self._rows = PaddedSource(rendered, rendering, pad_id)
        self._pad_id = pad_id
        self.packs = _packs(self._rows.lengths, max_length, seed, apart)
        self.lengths: list[int] = [sum(self._rows.lengths[row] for row in one) for one in self.packs]

    def __len__(self) -> int:
        return len(self.packs)

    def fingerprint(self) -> str:
        """Equal for equal tokens, targets, choices and packs."""
        return fingerprint([type(self).__name__, self._rows.fingerprint(), self.packs])

    def batch(self, indices: Sequence[int]) -> Batch:
        """The packs at `indices`, in that order."""
        shape = (len(indices), max((self.lengths[index] for index in indices), default=0))
        input_ids = np.full(shape, self._pad_id, dtype=np.int64)
        position_ids = np.zeros(shape, dtype=np.int64)
        is_target = np.zeros(shape, dtype=np.bool_)
        sequence_ids = np.full(shape, _PADDING, dtype=np.int64)
        group_ids = np.full(shape, IGNORE, dtype=np.int64)
        chunks = np.full(shape, _NO_CHUNK, dtype=np.int64)
        columns, groups = self._rows._columns, self._rows._groups
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
            row_ids=[[self._rows._row_ids[row] for row in self.packs[index]] for index in indices],
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
