"""Reads a store: any rows, in any order, padded or packed, many at once."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import Problem, StoreError
from limbeck.core.signals import Head, TopK
from limbeck.signals import codec_hidden, codec_topk, layout
from limbeck.signals.codec_topk import Codebook
from limbeck.signals.manifest import Identity, Manifest, differences
from limbeck.signals.rows import Row, rows_of
from limbeck.signals.support import topk_at
from limbeck.signals.writer import unpack_mask

_NAMED = 3
_TOKENS_AT_ONCE = 2048  # positions decoded together: what they take stays in the processor's cache


@dataclass(frozen=True)
class _Stream:
    """A column of a shard as bytes: row i is `data[offsets[i] : offsets[i + 1]]`."""

    data: memoryview
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "_Stream":
        array = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
        _, offsets, data = array.buffers()
        places = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        return cls(memoryview(data if data is not None else b""), places)

    def __getitem__(self, row: int) -> memoryview:
        return self.data[self.offsets[row] : self.offsets[row + 1]]


class Signals:
    """A finished store.

    Args:
        folder: of the store.
        verify: compare every file with its checksum; costs one reading of the store.

    Raises:
        StoreError: no store, an unfinished one, a newer format, or damaged files.
    """

    def __init__(self, folder: str | Path, *, verify: bool = True) -> None:
        self.folder = Path(folder)
        self.manifest = Manifest.read(self.folder)
        self.manifest.verify(self.folder, contents=verify)
        with _readable(self.folder):
            self._open()

    def _open(self) -> None:
        self.payload = self.manifest.payload
        self._book: Codebook | None = None
        self._head: Head | None = None
        if self.payload.topk is not None:
            self._book = Codebook.from_table(layout.read_table(self.folder / layout.CODEBOOK))
        else:
            self._head = codec_hidden.load_head(self.folder / layout.HEAD)
        self._columns = codec_hidden.COLUMNS if self._book is None else self._book.columns
        self._streams: list[dict[str, _Stream]] = []
        self._places: dict[str, tuple[int, int]] = {}
        self._checksums: list[NDArray[np.uint32]] = []
        self._tokens: list[NDArray[np.int32]] = []
        for number, shard in enumerate(self.manifest.shards):
            table = layout.read_table(self.folder / shard.file)
            for row, name in enumerate(table["row_id"].to_pylist()):
                self._places[name] = (number, row)
            self._checksums.append(table["checksum"].to_numpy())
            self._tokens.append(table["tokens"].to_numpy())
            names = ("mask", *self._columns)
            self._streams.append({name: _Stream.of(table[name]) for name in names})

    @property
    def vocabulary(self) -> int:
        """Ids lie below it; of a stored head, its rows."""
        return self.manifest.identity.vocabulary

    def check(self, identity: Identity | None, rows: Sequence[tuple[str, int]]) -> None:
        """Refuse rows that the store does not hold, naming why as far as it can be told.

        Args:
            identity: what a capture of these rows would be of now; None if nobody knows.
            rows: id and checksum of each.

        Raises:
            StoreError: rows are missing, or have other tokens.
        """
        missing = [name for name, _ in rows if name not in self._places]
        changed = [name for name, value in rows if name in self._places and self._checksum(name) != value]
        if not missing and not changed:
            return
        why = []
        if identity is not None:
            causes = ("another tokenizer", "another chat template", "other choices in rendering rows")
            why = [one for one in differences(self.manifest.identity, identity) if one.startswith(causes)]
        named = ", ".join((changed or missing)[:_NAMED])
        what = f"{len(changed):,} with other tokens" if changed else f"{len(missing):,} that are not in it"
        raise StoreError(
            Problem(
                str(self.folder),
                f"store must hold the rows that are learnt from, got {what} of {len(rows):,} ({named}"
                f"{', ...' if len(changed or missing) > _NAMED else ''}); it was captured with "
                f"{' and '.join(why) if why else 'other data'}. Capture these rows, or train on the rows "
                "of the store.",
            )
        )

    def topk(self, batch: Batch) -> TopK:
        """[B, T, K] of a batch, on the CPU; nothing of use where nothing is learnt.

        Raises:
            StoreError: a row or a position is not in the store, or a row has other tokens.
        """
        assert self._book is not None, "asked for by its payload"
        places, streams = self._gather(batch)
        supports = [codec_topk.decode(self._book, one) for one in _pieces(streams)]
        shape = batch.targets.shape  # type: ignore[union-attr]
        found = topk_at(supports, places.numpy(), shape.numel())
        return found.each(lambda part: part.view(*shape, *part.shape[1:]))

    def hidden(self, batch: Batch) -> tuple[Tensor, Head]:
        """[B, T, H] of a batch and the whole head, on the CPU; zeros where nothing is learnt.

        Raises:
            StoreError: as `topk`.
        """
        assert self._head is not None and self.payload.hidden is not None
        places, streams = self._gather(batch)
        width = self._head.weight.shape[1]
        states = codec_hidden.decode(streams, width=width, dtype=self.payload.hidden.dtype)
        shape = batch.targets.shape  # type: ignore[union-attr]
        found = torch.zeros(shape.numel(), width, dtype=states.dtype)
        found[places] = states
        return found.view(*shape, width), self._head

    def _gather(self, batch: Batch) -> tuple[Tensor, dict[str, list[memoryview]]]:
        """Places in the flattened batch of all stored positions, and the streams of its rows."""
        targets, loss_mask = batch.targets, batch.loss_mask
        if targets is None or loss_mask is None or not batch.per_token:
            raise StoreError("a stored teacher answers rows with targets at every token, got others.")
        streams: dict[str, list[memoryview]] = {name: [] for name in self._columns}
        places = []
        for row in rows_of(batch):
            shard, place = self._find(row)
            found = self._streams[shard]
            mask = unpack_mask(bytes(found["mask"][place]), row.stop - row.start)
            places.append(mask.nonzero()[0] + (row.line * targets.shape[1] + row.start))
            for name, column in streams.items():
                column.append(found[name][place])
        flat = torch.from_numpy(np.concatenate(places))
        is_there = torch.zeros(targets.numel(), dtype=torch.bool)
        is_there[flat] = True
        lost = loss_mask.cpu().flatten() & ~is_there
        if lost.any():
            line = int(lost.nonzero()[0]) // targets.shape[1]
            raise StoreError(
                f"store must hold every position that is learnt from, got rows with others "
                f"({', '.join(batch.row_ids[line][:_NAMED])}). Capture with the loss_on of this training."
            )
        return flat, streams

    def _find(self, row: Row) -> tuple[int, int]:
        place = self._places.get(row.id)
        if place is None or self._checksum(row.id) != row.checksum:
            raise StoreError(
                f"store must hold the rows that are asked for, got row {row.id}, which "
                f"{'is not in it' if place is None else 'has other tokens there'}. Capture these rows."
            )
        return place

    def _checksum(self, name: str) -> int:
        shard, row = self._places[name]
        return int(self._checksums[shard][row])


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """What a file says that has the right size and other bytes is of any kind."""
    try:
        yield
    except (pa.ArrowException, SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"store must hold the files it was made with, got damaged ones in {folder} "
            f"({type(error).__name__}). `limbeck signals show {folder}` says which."
        ) from None


def _pieces(streams: dict[str, list[memoryview]]) -> list[dict[str, list[memoryview]]]:
    """Rows in groups that are decoded together."""
    sizes = np.cumsum([len(one) for one in streams["counts"]])
    groups = (sizes - 1) // _TOKENS_AT_ONCE
    borders = [0, *(np.flatnonzero(np.diff(groups)) + 1).tolist(), len(sizes)]
    return [
        {name: column[start:stop] for name, column in streams.items()}
        for start, stop in itertools.pairwise(borders)
    ]
