"""Asks a teacher about every row once and writes what it says."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import StoreError
from limbeck.core.outputs import Outputs
from limbeck.core.seeds import generator
from limbeck.core.signals import Head
from limbeck.signals import codec_hidden, codec_topk, layout
from limbeck.signals.codec_topk import Codebook
from limbeck.signals.manifest import Identity, Manifest
from limbeck.signals.payload import Payload
from limbeck.signals.rows import Row, learnt_of, rows_of
from limbeck.signals.support import Draws, Top, support_of, top_of
from limbeck.signals.writer import StoredRow, Writer

Captured = tuple[list[StoredRow], Any]


def capture(
    folder: Path,
    identity: Identity,
    *,
    tokens: Sequence[int],
    batch_of: Callable[[Sequence[int]], Batch],
    answer: Callable[[Batch], Outputs],
    batch_tokens: int,
    rank: int = 0,
    ranks: int = 1,
    wait: Callable[[], None] = lambda: None,
    prepare: Callable[[], None] = lambda: None,
    progress: Callable[[float], None] = lambda share: None,
) -> Manifest | None:
    """Make the shards that are missing, then the manifest.

    A shard is asked for in batches that depend on its rows alone, so that an interrupted capture ends in
    the same bytes as an uninterrupted one (on one kind of machine).

    Args:
        folder: of the store.
        identity: what it is of; its payload says what is kept.
        tokens: of each row.
        batch_of: rows by index as a padded batch with targets, on the teacher's device.
        answer: the teacher, asked for its distribution.
        batch_tokens: most tokens of a batch, padding included.
        rank: of this process.
        ranks: that capture together.
        wait: until all ranks are here.
        prepare: puts what belongs to the store beside the shards (its tokenizer), before the first; rank 0.
        progress: told the share of this rank's shards that is done.

    Returns:
        the manifest, on rank 0.

    Raises:
        StoreError: see `Writer`; the disk is full; a teacher without a linear head is asked for `hidden`.
    """
    with Writer(folder, identity, tokens, rank=rank, ranks=ranks) as writer:
        if writer.is_finished:
            return Manifest.read(folder)
        capturing = _Capture(writer, batch_of, answer, batch_tokens)
        if rank == 0:
            prepare()
            capturing.first()
        wait()  # the codebook comes from the first shard
        missing = writer.missing
        total = max(1, len(range(rank, len(writer.shards), ranks)))
        with ThreadPoolExecutor(1) as pool:
            waiting: Future[None] | None = None
            for place, number in enumerate(missing):
                asked = capturing.ask(number)
                if waiting is not None:
                    waiting.result()
                waiting = pool.submit(capturing.write, number, asked)
                progress((total - len(missing) + place + 1) / total)
            if waiting is not None:
                waiting.result()
        wait()
        return writer.finish() if rank == 0 else None


class _Capture:
    def __init__(
        self,
        writer: Writer,
        batch_of: Callable[[Sequence[int]], Batch],
        answer: Callable[[Batch], Outputs],
        batch_tokens: int,
    ) -> None:
        self.writer, self.batch_of, self.answer, self.batch_tokens = writer, batch_of, answer, batch_tokens
        self.payload = Payload.of_store(writer.identity.payload)
        self._book: Codebook | None = None

    def first(self) -> None:
        """What all shards are read with: the codebook, learnt from the first shard, or the head."""
        folder = self.writer.folder
        if self.payload.topk is None:
            # Also where it is there: one batch is cheaper than to tell whether it is whole.
            answer = self.answer(self.batch_of(self._batches(0)[0]))
            self._check_head(answer)
            assert isinstance(answer.head, Head), "of one teacher"
            codec_hidden.save_head(answer.head, folder / layout.HEAD)
            return
        if _is_whole(folder / layout.CODEBOOK):
            return
        asked = self.ask(0)
        support = self._support(asked[1])
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
            self.write(0, asked)

    def ask(self, number: int) -> Captured:
        """The teacher's answers on a shard, rows in the shard's order."""
        rows: dict[str, StoredRow] = {}
        parts: dict[str, Any] = {}
        for indices in self._batches(number):
            batch = self.batch_of(indices)
            with torch.no_grad():
                answer = self.answer(batch)
            learnt = learnt_of(batch)
            mask, start = learnt.cpu().numpy(), 0
            lines = rows_of(batch)
            found = self._kept(answer, learnt, _uniforms(lines, mask))
            for row in lines:
                kept = mask[row.line, row.start : row.stop].copy()
                stop = start + int(kept.sum())
                rows[row.id] = StoredRow(row.id, row.checksum, kept)
                part = slice(start, stop)
                parts[row.id] = found.at(part) if isinstance(found, Top) else found[part]
                start = stop
        names = [name for batch in self._in_order(number) for name in batch]
        return [rows[name] for name in names], [parts[name] for name in names]

    def write(self, number: int, asked: Captured) -> None:
        """Encode and write a shard."""
        rows, parts = asked
        positions = [int(row.mask.sum()) for row in rows]
        if self.payload.topk is not None:
            book = self._book or Codebook.from_table(layout.read_table(self.writer.folder / layout.CODEBOOK))
            self._book = book
            streams = codec_topk.encode(book, self._support(parts), positions)
        else:
            assert self.payload.hidden is not None
            streams = codec_hidden.encode(torch.cat(parts), positions, dtype=self.payload.hidden.dtype)
        self.writer.write(number, rows, streams)

    def _kept(self, answer: Outputs, learnt: Tensor, uniforms: NDArray[np.float64]) -> Any:
        kept = self.payload.topk
        if kept is not None:
            draws = Draws(kept.mass, kept.most_draws, uniforms) if kept.most_draws else None
            return top_of(answer, learnt, most=kept.max, draws=draws)
        self._check_head(answer)
        assert answer.hidden is not None
        return answer.hidden[learnt].cpu()

    def _support(self, parts: Sequence[Top]) -> codec_topk.Support:
        assert self.payload.topk is not None
        vocabulary = self.writer.identity.vocabulary
        return support_of(Top.joined(parts), mass=self.payload.topk.mass, vocabulary=vocabulary)

    def _batches(self, number: int) -> list[list[int]]:
        """Rows of like length together, so that little padding is read."""
        tokens = self.writer.tokens
        batches: list[list[int]] = []
        longest = 0
        for row in sorted(self.writer.shards[number], key=lambda row: (tokens[row], row)):
            longest = max(longest, tokens[row])
            if not batches or longest * (len(batches[-1]) + 1) > self.batch_tokens:
                batches.append([])
            batches[-1].append(row)
        return batches

    def _in_order(self, number: int) -> list[Sequence[str]]:
        return list(self.batch_of(self.writer.shards[number]).row_ids)

    @staticmethod
    def _check_head(answer: Outputs) -> None:
        if answer.hidden is None or answer.head is None:
            raise StoreError(
                "payload must be topk for a teacher whose head is more than one linear layer, got hidden. "
                "Write payload: {topk: {mass: 0.999, max: 64}}."
            )


def _is_whole(codebook: Path) -> bool:
    try:
        layout.read_table(codebook, verify=True)
    except StoreError:
        codebook.unlink(missing_ok=True)
        return False
    return True


def _uniforms(rows: Sequence[Row], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[N] a number for each kept position, by its row and place there: whatever it is asked together with."""
    found = np.zeros(mask.shape)
    for row in rows:
        found[row.line, row.start : row.stop] = generator(0, "draws", row.id).random(row.stop - row.start)
    return found[mask]
