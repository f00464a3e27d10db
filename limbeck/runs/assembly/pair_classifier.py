"""A classifier of pairs of texts as a function, for gates."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from limbeck.core.class_names import own_class_names


class PairClassifier:
    """Probabilities of the classes of a model for pairs of texts, longest pairs first."""

    def __init__(self, model: Any, tokenizer: Any, *, max_length: int, batch_size: int) -> None:
        """Take a tuned classifier, whose config names its classes in the order of its scores."""
        self._model, self._tokenizer = model.eval(), tokenizer
        self._max_length, self._batch_size = max_length, batch_size
        names = own_class_names(model.config)
        self._names = names or tuple(str(place) for place in range(model.config.num_labels))

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[Mapping[str, float]]:
        """For each pair, every class with its probability."""
        found: list[Mapping[str, float]] = [{}] * len(pairs)
        order = sorted(range(len(pairs)), key=lambda place: -sum(map(len, pairs[place])))
        for start in range(0, len(order), self._batch_size):
            places = order[start : start + self._batch_size]
            read = self._probabilities([pairs[one] for one in places])
            for place, values in zip(places, read, strict=True):
                found[place] = dict(zip(self._names, values, strict=True))
        return found

    def _probabilities(self, pairs: Sequence[tuple[str, str]]) -> list[list[float]]:
        inputs = self._tokenizer(
            [first for first, _ in pairs],
            [second for _, second in pairs],
            truncation=True,
            max_length=self._max_length,
            padding=True,
            return_tensors="pt",
        ).to(self._model.device)
        with torch.no_grad():
            scores = self._model(**inputs).logits.float()
        values: list[list[float]] = scores.softmax(-1).tolist()
        return values
