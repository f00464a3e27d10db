"""Log-probabilities of what a causal model in this process wrote."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from limbeck.core.asking import Candidate, TokenScores
from limbeck.core.token_bytes import token_bytes
from limbeck.inference.batches import length_batches, pad_rows
from limbeck.inference.request import BATCH_TOKENS

Pair = tuple[Sequence[int], Sequence[int]]


@torch.no_grad()
def scores_of(model: Any, tokenizer: Any, pairs: Sequence[Pair], *, k: int) -> list[tuple[TokenScores, ...]]:
    """For each token of each answer, its log-probability and the k likeliest in its place.

    Args:
        model: causal; read without a cache, at temperature 1 and without top_p.
        tokenizer: of it.
        pairs: token ids of prompt and answer.
        k: candidates a position.
    """
    spelt, vocabulary = token_bytes(tokenizer), len(tokenizer)
    found: dict[int, tuple[TokenScores, ...]] = {}
    device = next(model.parameters()).device
    lengths = [len(prompt) + len(answer) for prompt, answer in pairs]
    for batch in length_batches(lengths, 0, BATCH_TOKENS):
        rows = [[*pairs[place][0], *pairs[place][1]] for place in batch]
        # Padded on the right: no token of a causal model sees what stands behind it.
        inputs = pad_rows(rows, int(tokenizer.pad_token_id or 0), device, side="right")
        logits = model(**inputs).logits[..., :vocabulary].float().log_softmax(-1)
        for place, scores in zip(batch, logits, strict=True):
            prompt, answer = pairs[place]
            before = scores[len(prompt) - 1 : len(prompt) - 1 + len(answer)]
            found[place] = _told(before, answer, spelt, k)
    return [found[place] for place in range(len(pairs))]


def _told(scores: Tensor, ids: Sequence[int], spelt: Sequence[bytes], k: int) -> tuple[TokenScores, ...]:
    """The entries of one answer, from its log-probabilities [n, V]."""
    best = scores.topk(min(k, scores.shape[-1]), dim=-1)

    def candidate(token: int, logprob: float) -> Candidate:
        return Candidate(spelt[token] if token < len(spelt) else b"", logprob, token)

    return tuple(
        TokenScores(
            candidate(token, float(row[token])),
            tuple(map(candidate, places.tolist(), values.tolist())),
        )
        for token, row, places, values in zip(ids, scores, best.indices, best.values, strict=True)
    )
