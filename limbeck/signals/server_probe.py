"""Asks a server about a few rows before all of them, and refuses one whose scores are not what they seem."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from limbeck.core.asking import Ask, Candidate, Failure, FailureClass, Reply, RequestFailed, TokenScores
from limbeck.core.errors import StoreError
from limbeck.signals.gaps import Gap, dense_gap, told_gap
from limbeck.signals.served import ABSENT, scoring_request, top_of_scores
from limbeck.signals.support import Top

REPEATABLE = 0.01
"""Nats a position by which the same prompt may differ when it is asked again: bfloat16 in other batches
differs by less than 1e-3, a prefix cache that answers for other tokens by whole nats."""

_OTHER_TEMPERATURE = 2.0
_FOLLOWS = 0.01  # nats; twice the temperature moves any real distribution by far more
_MISSPELT = 0.1  # share of tokens; another tokenizer has nearly all of them elsewhere
_LIMIT = re.compile(r"max allowed:? *(\d+)|at most (\d+)")
_TOO_LONG = (
    "maximum model length",
    "max_tokens must be at least 1",
)  # the second: none is left to be written

LogProbs = Callable[[Sequence[int]], NDArray[np.floating]]
"""A local copy of the teacher: T ids -> log-probabilities [T - 1, V] of every token after the first."""


@dataclass(frozen=True)
class ServerProbe:
    """What was found on a sample of rows.

    Attributes:
        rows: that were asked about.
        positions: in them.
        served_model: what the server says it is.
        repeated: KL(first || second) of the same prompt, asked twice.
        follows_temperature: whether scores change with the temperature of the request: a server that
            processes them (`processed`), or gives them as the model does (`raw`).
        local: KL(local || served), where there is a local copy.
    """

    rows: int
    positions: int
    served_model: str
    repeated: Gap
    follows_temperature: bool
    local: Gap | None = None

    @property
    def mode(self) -> str:
        """`raw` or `processed`."""
        return "processed" if self.follows_temperature else "raw"

    def said(self) -> Iterator[str]:
        """In sentences."""
        yield (
            f"Asked the server about {self.rows} rows first: {self.positions:,} positions, {self.mode} "
            f"log-probabilities; the same prompt again differs by {self.repeated}."
        )
        if self.local is not None:
            yield f"KL(local || served) is {self.local}."


async def probe_server(
    rows: Sequence[Sequence[int]],
    ask: Ask,
    *,
    most: int,
    vocabulary: int,
    spelling: Sequence[bytes],
    again: int,
    local: LogProbs | None = None,
    within: float = 0.1,
) -> ServerProbe:
    """Ask about a sample of rows, twice about the longest, and compare.

    Args:
        rows: token ids, at least 2 each.
        ask: the server.
        most: ids of a position that the store asks for.
        vocabulary: ids lie below it.
        spelling: bytes of each token, by the tokenizer that made the rows; b"": not compared.
        again: sample of the second question, another one at each start: an answer that was kept before is
            compared with what the server says now.
        local: a copy of the teacher in this process.
        within: nats a position by which the server may differ from the copy on average.

    Raises:
        StoreError: the server gives no scores, fewer than asked, or logits; it has another tokenizer or
            context; it answers the same prompt in two ways; it differs from the local copy.
        Paused: nothing more can be asked now.
    """
    rows = sorted(rows, key=len, reverse=True)
    longest = rows[0]
    replies = [await _asked(ask, longest, most)]  # alone: what is wrong with all is said once
    replies += await asyncio.gather(*(_asked(ask, ids, most) for ids in rows[1:]))
    tops = [_top(reply, ids, most, vocabulary) for reply, ids in zip(replies, rows, strict=True)]
    for reply, ids in zip(replies, rows, strict=True):
        _check_read(reply, ids)
    scores = [one for reply in replies for one in reply.prompt_scores or ()]
    _check_spelling(scores, spelling)
    _check_whole(scores, vocabulary)
    second = _top(await _asked(ask, longest, most, sample=again), longest, most, vocabulary)
    repeated = Gap.of(told_gap(tops[0], second))
    if repeated.mean > REPEATABLE:
        raise StoreError(
            f"server must answer the same prompt the same way, got KL {repeated}. Start it with "
            "--no-enable-prefix-caching. If it serves other weights since this capture began, give the "
            "teacher another label, and capture into another folder."
        )
    softer = await _asked(ask, longest, most, temperature=_OTHER_TEMPERATURE, sample=again)
    follows = float(told_gap(tops[0], _top(softer, longest, most, vocabulary)).mean()) > _FOLLOWS
    gap = None
    if local is not None:
        values = [dense_gap(local(ids), top) for ids, top in zip(rows, tops, strict=True)]
        gap = Gap.of(np.concatenate(values))
        if gap.mean > within:
            raise StoreError(
                f"server must be within {within:g} nats of the local copy on average, got {gap}. Serve the "
                "same weights, or allow more with `within`."
            )
    positions = sum(len(top.ids) for top in tops)
    return ServerProbe(len(rows), positions, replies[0].served_model, repeated, follows, gap)


async def _asked(
    ask: Ask, ids: Sequence[int], most: int, *, temperature: float = 1.0, sample: int = 0
) -> Reply:
    try:
        return await ask(scoring_request(ids, most=most, temperature=temperature, sample=sample))
    except RequestFailed as error:
        raise StoreError(refusal(error.failure, len(ids), most)) from None


def refusal(failure: Failure, tokens: int, most: int) -> str:
    """What a server's refusal means, in its own words and ours."""
    said = f"server must score a row of {tokens} tokens with {most} ids a position, got {failure.message}"
    if failure.kind is FailureClass.TRANSIENT:
        return (
            f"server must answer, got {failure.message} Look whether it runs, and run the same command "
            "again: what was answered is kept."
        )
    limit = _LIMIT.search(failure.message)
    if limit is not None and "logprobs" in failure.message:
        allowed = limit.group(1) or limit.group(2)
        return f"{said}. Start it with --max-logprobs {most} or more, or set payload.topk.max={allowed}."
    if failure.reason == "context_length" or any(words in failure.message for words in _TOO_LONG):
        return (
            f"{said}. It writes a token behind each row: set max_length to one less than its context, or "
            "start it with a longer one."
        )
    if "vocabulary" in failure.message:
        return f"{said}. Name the tokenizer that the served model was trained with."
    if "sum to at most 1" in failure.message or "log-probability must be" in failure.message:
        return f"{said}. It gives logits: start it with --logprobs-mode raw_logprobs."
    return f"{said}. A server that knows prompt_logprobs is needed, such as vLLM."


def _top(reply: Reply, ids: Sequence[int], most: int, vocabulary: int) -> Top:
    kept = np.arange(len(ids)) < len(ids) - 1
    return top_of_scores(reply.prompt_scores, ids, kept, most=most, vocabulary=vocabulary)


def _check_read(reply: Reply, ids: Sequence[int]) -> None:
    read = reply.usage.prompt
    if read and not reply.usage.estimated and read != len(ids):
        raise StoreError(
            f"server must read the {len(ids)} tokens it is sent, got {read}: it adds or cuts some. Ask a "
            "server that takes prompts as token ids as they are."
        )


def _check_spelling(scores: Sequence[TokenScores], spelling: Sequence[bytes]) -> None:
    """Ids go both ways unchanged under any tokenizer; what the server calls them does not."""
    told: dict[int, bytes] = {}
    for one in scores:
        told |= {each.token_id: each.data for each in (one.chosen, *one.top) if each.token_id is not None}
    pairs = {
        index: (data, spelling[index])
        for index, data in told.items()
        if index < len(spelling) and _is_plain(data) and _is_plain(spelling[index])
    }
    # Servers decode a token alone, which loses the space before a word in some vocabularies.
    wrong = {index: pair for index, pair in pairs.items() if pair[0].strip() != pair[1].strip()}
    if len(wrong) > _MISSPELT * len(pairs):
        index, (there, here) = next(iter(wrong.items()))
        raise StoreError(
            f"server must have the tokenizer of the rows, got another: {len(wrong):,} of {len(pairs):,} "
            f"tokens are spelt differently ({index} is {there.decode()!r} there, {here.decode()!r} here). "
            "Name the tokenizer that is served."
        )


def _is_plain(data: bytes) -> bool:
    """Whether it is spelt the same however it is decoded."""
    return data.isascii() and bool(data.strip()) and data.strip().decode().isprintable()


def _check_whole(scores: Sequence[TokenScores], vocabulary: int) -> None:
    """A server that samples from few tokens says that all others are impossible."""

    def is_cut(one: Candidate) -> bool:
        return one.logprob < ABSENT and (one.token_id or 0) < vocabulary

    cut = sum(any(map(is_cut, one.top)) for one in scores)
    if cut:
        raise StoreError(
            f"server must give the whole distribution, got one that leaves out tokens at {cut:,} of "
            f"{len(scores):,} positions: it applies top_k, top_p or min_p of its own. Start it with "
            "--generation-config vllm and --logprobs-mode raw_logprobs."
        )
