"""Noise on what a model reads: drawn by step and row, whatever the micro-batches."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.needs import Needs
from limbeck.core.outputs import Outputs
from limbeck.core.seeds import generator
from limbeck.core.transform import Ask, Transform
from limbeck.recipes.batches import WordDropout
from limbeck.runs.assembly.transforms.training import Training

_CLEAN = "clean_input_ids"


class TokenNoise(Transform):
    """Replaces input tokens, and lets the teacher read the rows as they were.

    Args:
        settings: how many, by what, and what the teacher reads.
        ids: [N] what they are replaced by.
        kept: ids that are never replaced.
        seed: of all draws.
    """

    signals: ClassVar[frozenset[str]] = frozenset({_CLEAN})

    def __init__(self, settings: WordDropout, ids: Tensor, kept: Sequence[int], seed: int) -> None:
        self._settings, self._ids, self._kept, self._seed = settings, ids, torch.tensor(kept), seed

    def __call__(self, window: Sequence[Batch], step: int, total_steps: int) -> list[Batch]:
        """The micro-batches with noise."""
        return [self._noisy(batch, step) for batch in window]

    def asking(self, ask: Ask) -> Ask:
        """The teacher, that reads the rows as they were unless it is to read noise."""
        if self._settings.teacher_reads == "noisy":
            return ask

        def answer(batch: Batch, needs: Needs) -> Outputs:
            signals = dict(batch.signals)
            clean = {**batch.inputs, "input_ids": signals.pop(_CLEAN)}
            return ask(replace(batch, inputs=clean, signals=signals), needs)

        return answer

    def _noisy(self, batch: Batch, step: int) -> Batch:
        clean = batch.inputs["input_ids"]
        noisy = clean.clone()
        for line, names in enumerate(batch.row_ids):
            # One stream for each question: what a row meets does not depend on the padding behind it.
            draws, picks = (generator(self._seed, what, step, *names) for what in ("noise", "replacement"))
            is_chosen = torch.from_numpy(draws.random(clean.shape[1]) < self._settings.share)
            chosen = self._ids[torch.from_numpy(picks.integers(len(self._ids), size=clean.shape[1]))]
            replaced = is_chosen.to(clean.device) & ~torch.isin(clean[line], self._kept.to(clean.device))
            noisy[line] = torch.where(replaced, chosen.to(clean.device), clean[line])
        inputs = {**batch.inputs, "input_ids": noisy}
        return replace(batch, inputs=inputs, signals={**batch.signals, _CLEAN: clean})


def make(training: Training, settings: WordDropout) -> TokenNoise:
    """The noise of a step.

    Raises:
        ConfigError: the tokenizer has no unknown token, which is asked for.
    """
    tokenizer, kept = training.tokenizer, sorted(set(training.tokenizer.all_special_ids))
    if settings.replacement == "unknown":
        if tokenizer.unk_token_id is None:
            raise ConfigError(
                "word_dropout.replacement must be random with this tokenizer, which has no unknown token, "
                "got unknown."
            )
        ids = torch.tensor([tokenizer.unk_token_id])
    else:
        ids = torch.tensor([one for one in range(training.vocabulary) if one not in set(kept)])
    return TokenNoise(settings, ids, kept, training.step.seed)
