"""Asks a teacher in this process about every row once and writes what it says."""

from collections.abc import Callable, Iterable, Iterator, Sequence
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
from limbeck.signals.filling import Answered, fill
from limbeck.signals.manifest import Identity, Manifest
from limbeck.signals.payload import Payload
from limbeck.signals.rows import Row, learnt_of, rows_of
from limbeck.signals.support import Draws, Top, top_of
from limbeck.signals.writer import StoredRow


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
    payload = Payload.of_store(identity.payload)
    asked = Local(payload, tokens, batch_of=batch_of, answer=answer, batch_tokens=batch_tokens)
    return fill(
        folder,
        identity,
        tokens=tokens,
        asked=asked,
        rank=rank,
        ranks=ranks,
        wait=wait,
        prepare=prepare,
        progress=progress,
    )


class Local:
    """A teacher in this process, asked a batch at a time.

    Args:
        payload: what is kept.
        tokens: of each row.
        batch_of: rows by index as a padded batch with targets, on the teacher's device.
        answer: the teacher, asked for its distribution.
        batch_tokens: most tokens of a batch, padding included.
    """

    def __init__(
        self,
        payload: Payload,
        tokens: Sequence[int],
        *,
        batch_of: Callable[[Sequence[int]], Batch],
        answer: Callable[[Batch], Outputs],
        batch_tokens: int,
    ) -> None:
        self.payload, self.tokens = payload, tokens
        self.batch_of, self.answer, self.batch_tokens = batch_of, answer, batch_tokens

    def answers(self, shards: Iterable[Sequence[int]]) -> Iterator[Answered]:
        """The teacher's answers, when each shard's turn comes."""
        return map(self._ask, shards)

    def head(self) -> Head:
        """As it answers the shortest row."""
        shortest = min(range(len(self.tokens)), key=lambda row: (self.tokens[row], row))
        answer = self.answer(self.batch_of([shortest]))
        self._check_head(answer)
        assert isinstance(answer.head, Head), "of one teacher"
        return answer.head

    def _ask(self, shard: Sequence[int]) -> Answered:
        rows: dict[str, StoredRow] = {}
        parts: dict[str, Any] = {}
        for indices in self._batches(shard):
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
        names = [name for batch in self.batch_of(shard).row_ids for name in batch]
        return [rows[name] for name in names], [parts[name] for name in names]

    def _kept(self, answer: Outputs, learnt: Tensor, uniforms: NDArray[np.float64]) -> Any:
        kept = self.payload.topk
        if kept is not None:
            draws = Draws(kept.mass, kept.most_draws, uniforms) if kept.most_draws else None
            return top_of(answer, learnt, most=kept.max, draws=draws)
        self._check_head(answer)
        assert answer.hidden is not None
        return answer.hidden[learnt].cpu()

    def _batches(self, shard: Sequence[int]) -> list[list[int]]:
        """Rows of like length together, so that little padding is read."""
        batches: list[list[int]] = []
        longest = 0
        for row in sorted(shard, key=lambda row: (self.tokens[row], row)):
            longest = max(longest, self.tokens[row])
            if not batches or longest * (len(batches[-1]) + 1) > self.batch_tokens:
                batches.append([])
            batches[-1].append(row)
        return batches

    @staticmethod
    def _check_head(answer: Outputs) -> None:
        if answer.hidden is None or answer.head is None:
            raise StoreError(
                "payload must be topk for a teacher whose head is more than one linear layer, got hidden. "
                "Write payload: {topk: {mass: 0.999, max: 64}}."
            )


def _uniforms(rows: Sequence[Row], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[N] a number for each kept position, by its row and place there: whatever it is asked together with."""
    found = np.zeros(mask.shape)
    for row in rows:
        found[row.line, row.start : row.stop] = generator(0, "draws", row.id).random(row.stop - row.start)
    return found[mask]
