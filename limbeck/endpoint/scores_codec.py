"""Scores of tokens as few bytes of JSON: each token once, then its number and log-probability."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.core.asking import Candidate, TokenScores


def packed_scores(scores: Sequence[TokenScores]) -> dict[str, Any]:
    """Plain data from which `unpacked_scores` makes them again, exactly.

    Returns:
        `tokens`: bytes (base64) and id of every different token; `counts`: candidates of each position, the
        chosen one included, which is the first; `places`: of all, in `tokens`; `logprobs`: of all, as float32
        where that loses nothing (servers compute in it), else as float64.
    """
    tokens: dict[tuple[bytes, int | None], int] = {}
    every = [one for position in scores for one in (position.chosen, *position.top)]
    places = [tokens.setdefault((one.data, one.token_id), len(tokens)) for one in every]
    logprobs = np.fromiter((one.logprob for one in every), "<f8", len(every))
    short = logprobs.astype("<f4")
    exact = bool((short == logprobs).all())
    return {
        "tokens": [[base64.b64encode(data).decode(), index] for data, index in tokens],
        "counts": _text(np.fromiter((1 + len(one.top) for one in scores), "<u4", len(scores))),
        "places": _text(np.asarray(places, "<u4")),
        "logprobs": _text(short if exact else logprobs),
        "float32": exact,
    }


def unpacked_scores(found: Mapping[str, Any] | None) -> tuple[TokenScores, ...] | None:
    """What `packed_scores` was given."""
    if found is None:
        return None
    tokens = [(base64.b64decode(data), index) for data, index in found["tokens"]]
    places, counts = _numbers(found["places"], "<u4"), _numbers(found["counts"], "<u4")
    logprobs = _numbers(found["logprobs"], "<f4" if found["float32"] else "<f8")
    every = [
        Candidate(tokens[place][0], logprob, tokens[place][1])
        for place, logprob in zip(places.tolist(), logprobs.astype(float).tolist(), strict=True)
    ]
    scores, start = [], 0
    for count in counts.tolist():
        scores.append(TokenScores(every[start], tuple(every[start + 1 : start + count])))
        start += count
    return tuple(scores)


def _text(numbers: NDArray[Any]) -> str:
    """Bytes of like weight together, which compress better."""
    return base64.b64encode(numbers.view(np.uint8).reshape(-1, numbers.itemsize).T.tobytes()).decode()


def _numbers(text: str, kind: str) -> NDArray[Any]:
    size = np.dtype(kind).itemsize
    held = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.ascontiguousarray(held.reshape(size, -1).T).view(kind).ravel()
