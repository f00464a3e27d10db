"""Log-probabilities as servers spell them, in one shape: bytes and ids instead of strings."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from limbeck.core.asking import Candidate, TokenScores

Vocabulary = Sequence[bytes]
"""The bytes of every token id, as `limbeck.core.token_bytes` gives them."""

MASS_TOLERANCE = 1e-3
"""Above 1, the mass of a position's candidates may be so much: servers round to float32 or to four digits."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_ID = re.compile(r"token_id:(\d+)")
_BYTES = re.compile(r"bytes:((?:\\x[0-9a-fA-F]{2})+)")


class MalformedScores(ValueError):
    """Log-probabilities in none of the known shapes, or that are none."""


def written_scores(
    choice: Mapping[str, Any], *, k: int | None = None, vocabulary: Vocabulary | None = None
) -> tuple[TokenScores, ...] | None:
    """Log-probabilities of what was written, from one choice of an answer.

    Known are the shape of chat answers (`content` with `top_logprobs`), which llama.cpp also gives for plain
    completions, and the older one of plain completions (`tokens`, `token_logprobs`, `top_logprobs`). Ids are
    taken from `id` (llama.cpp), `token_id:7` (vLLM with `return_tokens_as_token_ids`) or `token_ids` beside
    them (vLLM with `return_token_ids`). Bytes are those the server tells; the vocabulary's, where an id is
    known; otherwise the token's text, and b"" where that has been damaged by decoding half a character.

    Args:
        choice: an entry of `choices`.
        k: how many candidates were asked for; servers that add the token itself to them give one more.
        vocabulary: the bytes of every id, where the teacher's tokenizer is at hand.

    Returns:
        One entry a token, or None where the server gave none.

    Raises:
        MalformedScores: lists of different lengths, or a number that is no log-probability.

    Example:
        >>> content = [{"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}]
        >>> written_scores({"logprobs": {"content": content}})[0].chosen
        Candidate(data=b'a', logprob=-0.5, token_id=None)
    """
    told = choice.get("logprobs")
    if not told:
        return None
    ids = choice.get("token_ids")
    if told.get("content") is not None:
        return _of_chat(told["content"], ids, k=k, vocabulary=vocabulary)
    if told.get("tokens") is not None:
        return _of_completion(told, ids, k=k, vocabulary=vocabulary)
    return None


def prompt_scores(
    body: Mapping[str, Any],
    choice: Mapping[str, Any],
    *,
    k: int | None = None,
    vocabulary: Vocabulary | None = None,
) -> tuple[TokenScores, ...] | None:
    """Log-probabilities of what was read, in vLLM's shape: a mapping from id to log-probability a position.

    Args:
        body: the whole answer; chat answers have `prompt_logprobs` and `prompt_token_ids` there.
        choice: its choice; plain completions have them here.
        k: how many candidates were asked for; a token that is less likely comes as one more.
        vocabulary: the bytes of every id.

    Returns:
        One entry a token of the prompt without the first, or None where the server gave none.

    Raises:
        MalformedScores: ids of the prompt are missing or not as many, or a position lacks its own token.
    """
    rows = choice.get("prompt_logprobs") or body.get("prompt_logprobs")
    if rows is None:
        return None
    ids = choice.get("prompt_token_ids") or body.get("prompt_token_ids")
    if ids is None or len(ids) != len(rows):
        raise MalformedScores(
            f"prompt_token_ids must be as many as prompt_logprobs ({len(rows)}), got "
            f"{'none' if ids is None else len(ids)}. Ask for return_token_ids."
        )
    found = []
    for place, (token, row) in enumerate(zip(ids[1:], rows[1:], strict=True), start=1):
        candidates = {
            int(index): _candidate(entry.get("decoded_token"), None, entry["logprob"], int(index), vocabulary)
            for index, entry in (row or {}).items()
        }
        if token not in candidates:
            raise MalformedScores(f"prompt_logprobs at position {place} must hold its token {token}")
        found.append(_position(candidates[token], candidates.values(), k))
    return tuple(found)


def residual_log_mass(scores: TokenScores) -> float:
    """log(1 - sum_v p_v) over the candidates of a position: what the tokens that were not told share.

    Args:
        scores: a position whose `top` are distinct tokens.

    Returns:
        At most 0, in nats; -inf where nothing is left, up to the server's rounding.

    Example:
        >>> half, quarter = Candidate(b"a", math.log(0.5)), Candidate(b"b", math.log(0.25))
        >>> round(residual_log_mass(TokenScores(half, (half, quarter))), 4)  # log 0.25
        -1.3863
    """
    left = 1 - math.fsum(math.exp(candidate.logprob) for candidate in scores.top)
    return math.log(left) if left > 0 else -math.inf


def _of_chat(
    content: Sequence[Mapping[str, Any]],
    ids: Sequence[int] | None,
    *,
    k: int | None,
    vocabulary: Vocabulary | None,
) -> tuple[TokenScores, ...]:
    # An end-of-text token has an id but may have no entry: the ids then are one longer and still in order.
    told = ids if ids is not None and len(ids) >= len(content) else None

    def candidate(entry: Mapping[str, Any], index: int | None = None) -> Candidate:
        return _candidate(
            entry.get("token"), entry.get("bytes"), entry["logprob"], entry.get("id", index), vocabulary
        )

    return tuple(
        _position(
            candidate(entry, told[place] if told else None),
            [candidate(other) for other in entry.get("top_logprobs") or ()],
            k,
        )
        for place, entry in enumerate(content)
    )


def _of_completion(
    told: Mapping[str, Any], ids: Sequence[int] | None, *, k: int | None, vocabulary: Vocabulary | None
) -> tuple[TokenScores, ...]:
    tokens, chosen = told["tokens"], told.get("token_logprobs") or []
    tops = told.get("top_logprobs") or [None] * len(tokens)
    if not len(tokens) == len(chosen) == len(tops):
        raise MalformedScores(
            "tokens, token_logprobs and top_logprobs must be equally long, "
            f"got {len(tokens)}, {len(chosen)} and {len(tops)}"
        )
    known = ids if ids is not None and len(ids) >= len(tokens) else [None] * len(tokens)
    return tuple(
        _position(
            _candidate(token, None, logprob, index, vocabulary),
            [
                _candidate(spelt, None, other, index if spelt == token else None, vocabulary)
                for spelt, other in (top or {}).items()
            ],
            k,
        )
        for token, logprob, top, index in zip(tokens, chosen, tops, known, strict=False)
        # An echoed prompt's first token has no log-probability: nothing came before it.
        if logprob is not None
    )


def _position(chosen: Candidate, candidates: Iterable[Candidate], k: int | None) -> TokenScores:
    top = sorted(candidates, key=lambda candidate: -candidate.logprob)
    if k is not None:
        top = top[:k]
    mass = math.fsum(math.exp(candidate.logprob) for candidate in top)
    if mass > 1 + MASS_TOLERANCE:
        raise MalformedScores(f"probabilities of a position must sum to at most 1, got {mass:.4f}")
    return TokenScores(chosen, tuple(top))


def _candidate(
    spelt: str | None,
    told: Sequence[int] | None,
    logprob: Any,
    index: int | None,
    vocabulary: Vocabulary | None,
) -> Candidate:
    """One token, by what is known of it."""
    if not isinstance(logprob, int | float) or math.isnan(logprob) or logprob > MASS_TOLERANCE:
        raise MalformedScores(f"a log-probability must be a number of at most 0, got {logprob!r}")
    numbered = _ID.fullmatch(spelt) if spelt is not None and spelt.startswith("token_id:") else None
    if numbered:
        # vLLM then gives the bytes of the words "token_id:7" instead of the token's.
        index, spelt, told = int(numbered[1]), None, None
    data = _bytes(spelt, told)
    if vocabulary is not None and index is not None and index < len(vocabulary):
        data = vocabulary[index]
    return Candidate(data, float(logprob), index)


def _bytes(spelt: str | None, told: Sequence[int] | None) -> bytes:
    if told is not None:
        data = bytes(told)
        return b"" if REPLACEMENT.encode() in data else data
    return b"" if spelt is None else _spelt_bytes(spelt)


@lru_cache(maxsize=2**18)
def _spelt_bytes(spelt: str) -> bytes:
    """A vocabulary's tokens come up again and again: millions of candidates in an hour of scoring prompts."""
    escaped = _BYTES.fullmatch(spelt)
    if escaped:
        return bytes.fromhex(escaped[1].replace("\\x", ""))
    return b"" if REPLACEMENT in spelt else spelt.encode()
