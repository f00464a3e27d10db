"""Writes a store: one shard after another, each whole or absent."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from limbeck.core.errors import StoreError
from limbeck.core.files import clear_leftovers, is_leftover, read_mapping, write_json
from limbeck.core.fingerprint import fingerprint
from limbeck.signals import layout
from limbeck.signals.manifest import BEGUN, MANIFEST, Identity, Manifest, Part, differences, part_of

_ROW_FIELDS = [
    ("row_id", pa.string()),
    ("tokens", pa.int32()),
    ("checksum", pa.uint32()),
    ("positions", pa.int32()),
    ("mask", pa.large_binary()),
]
_IDENTITY, _CODEBOOK = b"limbeck_store", b"limbeck_codebook"


class StoredRow(NamedTuple):
    """What a shard says about a row besides its streams.

    Attributes:
        id: of the row.
        checksum: of its tokens.
        mask: [tokens] True at the positions that are kept.
    """

    id: str
    checksum: int
    mask: np.ndarray


class Writer:
    """The store of one identity, as one of `ranks` processes; a context manager that holds its lock.

    Args:
        folder: new, empty, or an unfinished or finished store of the same identity.
        identity: what the store is of.
        tokens: of each row, in the order of the data.
        rank: of this process.
        ranks: that capture together; each has its own shards.

    Raises:
        StoreError: the folder holds something else, a store of another identity, or is being written.
    """

    def __init__(
        self, folder: Path, identity: Identity, tokens: Sequence[int], *, rank: int = 0, ranks: int = 1
    ) -> None:
        self.folder, self.identity, self.rank, self.ranks = folder, identity, rank, ranks
        self.tokens = tokens
        self.shards = layout.shards_of(tokens, identity.shard_tokens)
        self._mark = fingerprint(asdict(identity))
        self._held = ExitStack()
        self._whole: dict[int, bool] = {}

    def __enter__(self) -> Self:
        self._held.enter_context(layout.locked(self.folder, self.rank))
        try:
            self._check()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    @property
    def is_finished(self) -> bool:
        """Whether the manifest is there."""
        return (self.folder / MANIFEST).is_file()

    @property
    def missing(self) -> list[int]:
        """Shards of this rank that are yet to be made."""
        mine = range(self.rank, len(self.shards), self.ranks)
        return [number for number in mine if not self._has(number)]

    def write(self, number: int, rows: Sequence[StoredRow], streams: Mapping[str, Sequence[bytes]]) -> None:
        """Write a shard: its rows in order, with every stream of the payload."""
        held = {
            "row_id": [row.id for row in rows],
            "tokens": [len(row.mask) for row in rows],
            "checksum": [row.checksum for row in rows],
            "positions": [int(row.mask.sum()) for row in rows],
            "mask": [pack_mask(row.mask) for row in rows],
        }
        fields = _ROW_FIELDS + [(name, pa.large_binary()) for name in streams]
        table = pa.table({**held, **streams}, schema=pa.schema(fields))
        table = table.replace_schema_metadata({_IDENTITY: self._mark.encode(), _CODEBOOK: self._codebook()})
        layout.write_table(self.folder / layout.shard_name(number), table)
        self._whole[number] = True

    def finish(self, origin: Mapping[str, Any] | None = None) -> Manifest:
        """Write the manifest once every shard of every rank is there; `origin` as it has it.

        Raises:
            StoreError: a shard is missing.
        """
        absent = [layout.shard_name(number) for number in range(len(self.shards)) if not self._has(number)]
        if absent:
            raise StoreError(f"all shards must be there, got none of {', '.join(absent[:3])}. Capture again.")
        parts, rows, tokens, positions = self._others(), 0, 0, 0
        for number in range(len(self.shards)):
            path = self.folder / layout.shard_name(number)
            table = layout.read_table(path)
            names = table["row_id"]
            held = int(pc.sum(table["positions"]).as_py())
            parts.append(
                part_of(
                    path,
                    rows=len(names),
                    positions=held,
                    first_row=names[0].as_py(),
                    last_row=names[-1].as_py(),
                )
            )
            rows, positions = rows + len(names), positions + held
            tokens += int(pc.sum(table["tokens"]).as_py())
        manifest = Manifest.of(
            self.identity, rows=rows, tokens=tokens, positions=positions, parts=parts, origin=origin or {}
        )
        manifest.write(self.folder)
        (self.folder / BEGUN).unlink(missing_ok=True)
        return manifest

    def _others(self) -> list[Part]:
        found = [self.folder / name for name in (layout.CODEBOOK, layout.HEAD)]
        found += sorted((self.folder / layout.TOKENIZER).glob("*"))
        parts = [(path, part_of(path)) for path in found if path.is_file()]
        return [
            Part(path.relative_to(self.folder).as_posix(), part.sha256, part.bytes) for path, part in parts
        ]

    def _check(self) -> None:
        there = self._there()
        if there is not None:
            changed = differences(there, self.identity)
            if changed:
                raise StoreError(
                    f"store must be of the same capture, got {self.folder}, which is of "
                    f"{', and of '.join(changed)}. Choose another folder, or delete this one."
                )
        if self.rank:
            return
        if there is None:
            others = [path.name for path in self.folder.iterdir() if not _is_ours(path.name)]
            if others:
                raise StoreError(
                    f"store must be a new or empty folder, or an earlier capture, got {self.folder}, which "
                    f"holds other files ({', '.join(sorted(others)[:3])}). Choose another folder."
                )
        clear_leftovers(self.folder)
        if self.is_finished:
            (self.folder / BEGUN).unlink(missing_ok=True)  # a kill came between the two
        elif there is None:
            write_json(self.folder / BEGUN, asdict(self.identity))

    def _there(self) -> Identity | None:
        if self.is_finished:
            return Manifest.read(self.folder).identity
        begun = read_mapping(self.folder / BEGUN)
        try:
            return None if begun is None else Identity(**begun)
        except TypeError:
            return None  # damaged: whose the shards are is said in each of them

    def _has(self, number: int) -> bool:
        """Whether a shard is there, whole, of this capture and coded as this store is."""
        if number not in self._whole:
            self._whole[number] = self._looks_whole(self.folder / layout.shard_name(number))
        return self._whole[number]

    def _looks_whole(self, path: Path) -> bool:
        if not path.is_file():
            return False
        try:
            metadata = layout.read_table(path, verify=True).schema.metadata
        except StoreError:
            return False  # cut off or changed by hand: a shard that appears is whole
        wanted = {_IDENTITY: self._mark.encode(), _CODEBOOK: self._codebook()}
        return all(metadata.get(name) == value for name, value in wanted.items())

    def _codebook(self) -> bytes:
        """Checksum of the codebook; empty where there is none: hidden states need none."""
        path = self.folder / layout.CODEBOOK
        return layout.read_table(path).schema.metadata[layout.CHECKSUM] if path.is_file() else b""


def _is_ours(name: str) -> bool:
    ours = (layout.CODEBOOK, layout.HEAD, layout.TOKENIZER, BEGUN)
    return name in ours or name.startswith((".lock-", "shard-")) or is_leftover(name)


def pack_mask(mask: np.ndarray) -> bytes:
    """The kept positions of a row, a bit each; nothing where all but the last are kept, as in plain text."""
    if len(mask) and mask[:-1].all() and not mask[-1]:
        return b""
    return np.packbits(mask, bitorder="little").tobytes()


def unpack_mask(packed: bytes, tokens: int) -> np.ndarray:
    """[tokens] of bool."""
    if not packed:
        return np.arange(tokens) < tokens - 1
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=tokens, bitorder="little").view(np.bool_)
