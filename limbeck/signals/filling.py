"""Fills a store with a teacher's answers, wherever they come from: a shard at a time, whole or absent."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import torch

from limbeck.core.errors import StoreError
from limbeck.core.signals import Head
from limbeck.signals import codec_hidden, codec_topk, layout
from limbeck.signals.codec_topk import Codebook
from limbeck.signals.manifest import Identity, Manifest
from limbeck.signals.payload import Payload
from limbeck.signals.support import Top, support_of
from limbeck.signals.writer import StoredRow, Writer

Answered = tuple[list[StoredRow], list[Any]]
"""Of some rows, in their order: what a shard says of each, and its answer, a `Top` or states [n, H]."""


class Asked(Protocol):
    """A teacher that is asked for a store."""

    def answers(self, shards: Iterable[Sequence[int]]) -> Iterator[Answered]:
        """Its answers on the rows of each shard, one shard after another; it may look ahead."""

    def head(self) -> Head:
        """Its vocabulary head, which a store of hidden states keeps.

        Raises:
            StoreError: it has none, or more than one linear layer.
        """


def fill(
    folder: Path,
    identity: Identity,
    *,
    tokens: Sequence[int],
    asked: Asked,
    rank: int = 0,
    ranks: int = 1,
    wait: Callable[[], None] = lambda: None,
    prepare: Callable[[], None] = lambda: None,
    progress: Callable[[float], None] = lambda share: None,
    origin: Callable[[], Mapping[str, Any]] = dict,
) -> Manifest | None:
    """Make the shards that are missing, then the manifest.

    Args:
        folder: of the store.
        identity: what it is of; its payload says what is kept.
        tokens: of each row.
        asked: the teacher.
        rank: of this process.
        ranks: that capture together.
        wait: until all ranks are here.
        prepare: puts what belongs to the store beside the shards (its tokenizer), before the first; rank 0.
        progress: told the share of this rank's shards that is done.
        origin: where answers came from, asked for when all are there.

    Returns:
        the manifest, on rank 0.

    Raises:
        StoreError: see `Writer`; the disk is full; a teacher without a linear head is asked for `hidden`.
    """
    with Writer(folder, identity, tokens, rank=rank, ranks=ranks) as writer:
        if writer.is_finished:
            return Manifest.read(folder)
        filling = _Filling(writer, asked)
        if rank == 0:
            prepare()
            filling.first()
        wait()  # the codebook comes from the first shard
        missing = writer.missing
        total = max(1, len(range(rank, len(writer.shards), ranks)))
        answers = asked.answers(writer.shards[number] for number in missing)
        with ThreadPoolExecutor(1) as pool:
            waiting: Future[None] | None = None
            for place, (number, answered) in enumerate(zip(missing, answers, strict=True)):
                if waiting is not None:
                    waiting.result()
                waiting = pool.submit(filling.write, number, answered)
                progress((total - len(missing) + place + 1) / total)
            if waiting is not None:
                waiting.result()
        wait()
        return writer.finish(origin()) if rank == 0 else None


class _Filling:
    def __init__(self, writer: Writer, asked: Asked) -> None:
        self.writer, self.asked = writer, asked
        self.payload = Payload.of_store(writer.identity.payload)
        self._book: Codebook | None = None

    def first(self) -> None:
        """What all shards are read with: the codebook, learnt from the first shard, or the head."""
        folder = self.writer.folder
        if self.payload.topk is None:
            # Also where it is there: one batch is cheaper than to tell whether it is whole.
            codec_hidden.save_head(self.asked.head(), folder / layout.HEAD)
            return
        if _is_whole(folder / layout.CODEBOOK):
            return
        (answered,) = self.asked.answers([self.writer.shards[0]])
        support = self._support(answered[1])
        everything = sum(self.writer.tokens)
        share = len(support.counts) / max(1, sum(self.writer.tokens[row] for row in self.writer.shards[0]))
        self._book = codec_topk.learn_codebook(
            support,
            vocabulary=self.writer.identity.vocabulary,
            quantisation=self.payload.topk.quantisation,
            most=self.payload.topk.max,
            positions=round(share * everything),
        )
        layout.write_table(folder / layout.CODEBOOK, self._book.to_table())
        if 0 in self.writer.missing:
            self.write(0, answered)

    def write(self, number: int, answered: Answered) -> None:
        """Encode and write a shard."""
        rows, parts = answered
        positions = [int(row.mask.sum()) for row in rows]
        if self.payload.topk is not None:
            book = self._book or Codebook.from_table(layout.read_table(self.writer.folder / layout.CODEBOOK))
            self._book = book
            streams = codec_topk.encode(book, self._support(parts), positions)
        else:
            assert self.payload.hidden is not None
            streams = codec_hidden.encode(torch.cat(parts), positions, dtype=self.payload.hidden.dtype)
        self.writer.write(number, rows, streams)

    def _support(self, parts: Sequence[Top]) -> codec_topk.Support:
        assert self.payload.topk is not None
        vocabulary = self.writer.identity.vocabulary
        return support_of(Top.joined(parts), mass=self.payload.topk.mass, vocabulary=vocabulary)


def _is_whole(codebook: Path) -> bool:
    try:
        layout.read_table(codebook, verify=True)
    except StoreError:
        codebook.unlink(missing_ok=True)
        return False
    return True
