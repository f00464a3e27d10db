"""A teacher behind a server that scores prompts: rows go there as token ids, scores come into a store."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from limbeck.core.asking import Request, TokenScores
from limbeck.core.batch import Batch
from limbeck.core.errors import StoreError
from limbeck.core.signals import Head
from limbeck.signals.filling import Answered
from limbeck.signals.rows import learnt_of, rows_of
from limbeck.signals.support import Top
from limbeck.signals.writer import StoredRow

ABSENT = -9000.0
"""Log-probabilities below it are none: vLLM writes -9999 for minus infinity, which JSON has no number for."""

_MASS = 1e-3  # float32, rounded to few digits on the way, may sum to so much more than 1


class SentRow(NamedTuple):
    """A row that a server is asked about.

    Attributes:
        id: of the row.
        ids: T token ids.
        kept: [T] outputs that the store keeps.
    """

    id: str
    ids: Sequence[int]
    kept: NDArray[np.bool_]


ScoreAll = Callable[[Iterable[SentRow]], Iterator[Top]]
"""What a server says of many rows, in their order; it looks ahead as far as it likes."""


def scoring_request(ids: Sequence[int], *, most: int, temperature: float = 1.0, sample: int = 0) -> Request:
    """Asks for the `most` likeliest ids at every position of a row; servers write a token more at least.

    Args:
        ids: of the row; the server adds none, as they are no text.
        most: ids of a position.
        temperature: other than 1 only to see whether the server's scores follow it.
        sample: another one asks again instead of taking the answer that was kept.
    """
    return Request(
        token_ids=tuple(ids),
        max_tokens=1,
        temperature=temperature,
        sample=sample,
        prompt_logprobs=most,
    )


def top_of_scores(
    scores: Sequence[TokenScores] | None,
    ids: Sequence[int],
    kept: NDArray[np.bool_],
    *,
    most: int,
    vocabulary: int,
) -> Top:
    """What a server says of a row, at the outputs that are kept.

    Scores stand at the token they are of; output t predicts token t + 1, so they move by one. Ids that the
    tokenizer does not have (a padded head) are left out: their mass is in the tail.

    Args:
        scores: of every token but the first.
        ids: T tokens, as they were sent.
        kept: [T] outputs to keep; the last predicts nothing.
        most: ids asked for; fewer than that only where the vocabulary has no more.
        vocabulary: ids that are kept lie below it.

    Returns:
        [N, most], empty places with id -1 and log-probability -inf.

    Raises:
        StoreError: the scores are not those of these tokens, too few, or no log-probabilities.
    """
    scores = _scores_of(scores, ids)
    places = np.flatnonzero(kept).tolist()
    assert not places or places[-1] < len(scores), "the last output predicts nothing"
    found = np.full((len(places), most), -1, np.int64)
    log_probs = np.full((len(places), most), -np.inf)
    for line, place in enumerate(places):
        top = scores[place].top
        if len(top) < most:
            _check_enough(len(top), most, vocabulary, place)
        here = min(most, len(top))
        found[line, :here] = [-1 if one.token_id is None else one.token_id for one in top[:most]]
        log_probs[line, :here] = [one.logprob for one in top[:most]]
    _check_probabilities(log_probs, found, places)
    outside = (found < 0) | (found >= vocabulary) | (log_probs < ABSENT)
    found[outside], log_probs[outside] = -1, -np.inf
    _check_some(log_probs, places)
    order = np.argsort(-log_probs, axis=1, kind="stable")
    return Top(
        np.take_along_axis(found, order, 1).astype(np.int32),
        np.take_along_axis(log_probs, order, 1).astype(np.float32),
    )


class Served:
    """A served teacher that is asked for a store.

    Args:
        score_all: reaches it.
        batch_of: rows by index as a padded batch with targets.
        most: ids of a position.
    """

    def __init__(self, score_all: ScoreAll, batch_of: Callable[[Sequence[int]], Batch], *, most: int) -> None:
        self._score_all, self._batch_of, self._most = score_all, batch_of, most

    def answers(self, shards: Iterable[Sequence[int]]) -> Iterator[Answered]:
        """Answers of each shard; the server is asked about the next ones meanwhile."""
        begun: deque[list[tuple[StoredRow, SentRow]]] = deque()

        def sent() -> Iterator[SentRow]:
            for shard in shards:
                begun.append(self._rows(shard))
                yield from (row for _, row in begun[-1] if row.kept.any())

        tops = self._score_all(sent())
        ahead = next(tops, None)
        while begun:
            parts = []
            for _, row in begun[0]:
                top = self._nothing
                if row.kept.any():
                    top, ahead = next(tops) if ahead is None else ahead, None
                parts.append(top)
            yield [stored for stored, _ in begun.popleft()], parts
            if not begun:
                ahead = next(tops, None)

    @property
    def _nothing(self) -> Top:
        return Top(np.zeros((0, self._most), np.int32), np.zeros((0, self._most), np.float32))

    def head(self) -> Head:
        """None that a server gives."""
        raise StoreError(
            "payload must be topk for a teacher that a server scores, got hidden: servers give no states. "
            "Write payload: {topk: {mass: 0.999, max: 64, draws: 0}}."
        )

    def _rows(self, shard: Sequence[int]) -> list[tuple[StoredRow, SentRow]]:
        batch = self._batch_of(shard)
        mask, ids = learnt_of(batch).cpu().numpy(), batch.inputs["input_ids"].cpu().numpy()
        found = []
        for row in rows_of(batch):
            kept = mask[row.line, row.start : row.stop].copy()
            sent = SentRow(row.id, ids[row.line, row.start : row.stop].tolist(), kept)
            found.append((StoredRow(row.id, row.checksum, kept), sent))
        return found


def _scores_of(scores: Sequence[TokenScores] | None, ids: Sequence[int]) -> Sequence[TokenScores]:
    if scores is None:
        raise StoreError(
            "server must give log-probabilities of the prompt, got none, as from llama.cpp and most others. "
            "Serve the teacher by one that knows prompt_logprobs, such as vLLM, or capture a copy of the "
            "model, {model: DIR} or {model: DIR, gguf_file: NAME}."
        )
    if len(scores) != len(ids) - 1:
        raise StoreError(
            f"server must score all {len(ids) - 1} tokens after the first, got {len(scores)}: its prefix "
            "cache leaves some out, or it added tokens of its own. Start it with --no-enable-prefix-caching."
        )
    for place, (one, wanted) in enumerate(zip(scores, ids[1:], strict=True), start=1):
        if one.chosen.token_id != wanted:
            got = "no id" if one.chosen.token_id is None else f"id {one.chosen.token_id}"
            raise StoreError(
                f"server must read the ids it is sent, got {got} in place of {wanted} at position {place}. "
                "Ask a server that takes prompts as token ids."
            )
    return scores


def _check_enough(got: int, most: int, vocabulary: int, place: int) -> None:
    if got < min(most, vocabulary):
        raise StoreError(
            f"server must give {most} ids a position, got {got} at position {place + 1}. Start it with "
            f"--max-logprobs {most} or more, or set payload.topk.max={max(1, got)}."
        )


def _check_probabilities(
    log_probs: NDArray[np.float64], ids: NDArray[np.int64], places: Sequence[int]
) -> None:
    told = log_probs > -np.inf
    if (told & (ids < 0)).any():
        line = int(np.flatnonzero((told & (ids < 0)).any(1))[0])
        raise StoreError(
            f"server must tell each token's id, got none at position {places[line] + 1}. Ask one that does."
        )
    if np.isnan(log_probs).any():
        line = int(np.flatnonzero(np.isnan(log_probs).any(1))[0])
        raise StoreError(f"log-probabilities must be numbers, got nan at position {places[line] + 1}.")
    mass = np.exp(np.minimum(log_probs, 1.0)).sum(1)
    if (mass > 1 + _MASS).any():
        line = int(mass.argmax())
        raise StoreError(
            f"probabilities of a position must sum to at most 1, got {mass[line]:.3g} at position "
            f"{places[line] + 1}: the server gives logits. Start it with --logprobs-mode raw_logprobs."
        )


def _check_some(log_probs: NDArray[np.float64], places: Sequence[int]) -> None:
    empty = ~(log_probs > -np.inf).any(1)
    if empty.any():
        raise StoreError(
            f"server must give ids of the tokenizer, got none at position "
            f"{places[int(np.flatnonzero(empty)[0])] + 1}. Name the tokenizer that it was trained with."
        )
