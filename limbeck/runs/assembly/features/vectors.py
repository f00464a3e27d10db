"""Embeddings of the texts of rows: by a model, or by their words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from limbeck.core.kinds import kind_named
from limbeck.core.seeds import derived_seed
from limbeck.runs.assembly.features.given import Given
from limbeck.runs.assembly.features.texts import texts_of

_TOPICS = 256
"""Width of embeddings by words, at most."""


def vectors_of(given: Given) -> np.ndarray:
    """[N, D] unit vectors, float32: means of a model's last hidden states, or TF-IDF in 256 dimensions."""
    texts = texts_of(given)
    if given.step.model is None:
        return given.kept("vectors", lambda: vectors_by_words(texts))
    embed = _embedder(given, given.step.model)
    lengths = [len(text) for text in texts]
    return given.in_parts("vectors", lengths, lambda rows: embed([texts[row] for row in rows]))


def vectors_by_words(texts: Sequence[str]) -> np.ndarray:
    """[N, D] unit vectors by the words of texts: TF-IDF, in as many directions as matter most (LSA).

    Words count by 1 + log of how often they occur and by how few texts have them; a text without any
    word is 0.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        found = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b").fit_transform(texts)
    except ValueError:  # no word at all
        return np.zeros((len(texts), 1), dtype=np.float32)
    width = min(_TOPICS, min(found.shape) - 1)
    if width < 2:
        return _units(found.toarray())
    state = derived_seed(0, "words") % 2**32
    return _units(TruncatedSVD(width, random_state=state).fit_transform(found))


def _embedder(given: Given, word: str) -> Any:
    """From texts to [b, D] unit vectors."""
    work = given.work
    kind = work.kind("auto", word)
    model, tokenizer = work.load_model(word, kind).eval(), work.load_tokenizer(word)
    body = model.get_encoder() if kind_named(kind).encoder_decoder else model.base_model

    @torch.no_grad()
    def embed(texts: Sequence[str]) -> np.ndarray:
        inputs = tokenizer(
            list(texts), truncation=True, max_length=given.step.max_length, padding=True, return_tensors="pt",
            return_token_type_ids=False,
        ).to(work.device)  # fmt: skip
        states = body(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"].unsqueeze(-1).float()
        means = (states * mask).sum(1) / mask.sum(1).clamp_min(1)
        return _units(means.cpu().numpy())

    return embed


def _units(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: np.ndarray = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found
