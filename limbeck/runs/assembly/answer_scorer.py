"""A causal model as a function that says how likely it finds answers, for gates."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset

from limbeck.core.examples import by_row
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.target_log_probs import answer_losses
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PaddedSource


class AnswerScorer:
    """Mean cross-entropy of the tokens of answers behind their prompts, without a chat template."""

    def __init__(self, model: Any, tokenizer: Any, *, max_length: int, batch_size: int) -> None:
        """Take a causal model and its tokenizer."""
        self._reader, self._tokenizer = ForwardModel(model.eval()).probe(), tokenizer
        self._rendering = Rendering(model_kind="causal", max_length=max_length)
        self._batch_size, self._device = batch_size, model.device

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """For each prompt with its answer the mean in nats; NaN where the answer has no token."""
        places = [place for place, (_, answer) in enumerate(pairs) if answer.strip()]
        found = [math.nan] * len(pairs)
        if places:
            for place, value in zip(places, self._means([pairs[one] for one in places]), strict=True):
                found[place] = value
        return found

    def _means(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        ids = [str(place) for place in range(len(pairs))]
        rows = Dataset.from_dict(
            {"id": ids, "prompt": [one for one, _ in pairs], "completion": [one for _, one in pairs]}
        )
        rendered = render(rows, self._tokenizer, self._rendering)
        source = PaddedSource(rendered, self._rendering, int(self._tokenizer.pad_token_id))
        losses: list[list[float]] = [[] for _ in range(len(source))]
        order = sorted(range(len(source)), key=lambda entry: -source.lengths[entry])
        for start in range(0, len(order), self._batch_size):
            entries = order[start : start + self._batch_size]
            batch = source.batch(entries).to(self._device)
            with torch.no_grad():
                values = answer_losses(self._reader.read(batch.inputs, DISTRIBUTION), batch)
            for entry, value in zip(entries, values, strict=True):
                losses[entry] = value.float().tolist()
        members = by_row(source.rows.row_ids, ids)
        joined = [[one for entry in entries for one in losses[entry]] for entries in members]
        return [sum(one) / len(one) if one else math.nan for one in joined]
