"""A corpus that each step also learns from, beside what is written (MiniLLM's language modelling)."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import ClassVar

import torch

from limbeck.core.batch import Batch, Source
from limbeck.core.rollouts import SOURCES
from limbeck.core.seeds import derived_seed, generator
from limbeck.core.transform import Transform
from limbeck.rows.source import PaddedSource
from limbeck.runs import ranks
from limbeck.runs.assembly.transforms.training import Training


class Corpus(Transform):
    """Adds a micro-batch of corpus rows, learnt as group `corpus`, for each that a step draws.

    Args:
        source: the rows.
        sizes: rows of each micro-batch of a step.
        seed: of the draws: a whole step at once, each row once while there are enough.
    """

    groups: ClassVar[tuple[str, ...]] = SOURCES

    def __init__(self, source: Source, sizes: Sequence[int], seed: int) -> None:
        self._source, self._sizes, self._seed = source, sizes, seed

    def __call__(self, window: Sequence[Batch], step: int, total_steps: int) -> list[Batch]:
        """The window, and behind it the corpus."""
        count, entries = sum(self._sizes), len(self._source)
        draw = generator(self._seed, "corpus", step)
        drawn = draw.choice(entries, size=count, replace=count > entries).tolist()
        ends = list(accumulate(self._sizes))
        parts = [drawn[end - size : end] for size, end in zip(self._sizes, ends, strict=True)]
        return [*window, *(_as_corpus(self._source.batch(part)).to(window[0].device) for part in parts)]


def make(training: Training) -> Corpus | None:
    """The corpus of the step, or None."""
    step = training.step
    if step.corpus is None:
        return None
    rendering = replace(training.rendering, loss_on="all")
    source = PaddedSource(training.render(step.corpus, rendering), training.rendering, training.pad)
    sizes = [step.per_device_train_batch_size] * step.gradient_accumulation_steps
    return Corpus(source, sizes, derived_seed(step.seed, "corpus", ranks.place()))


def _as_corpus(batch: Batch) -> Batch:
    assert batch.targets is not None and batch.loss_mask is not None
    groups = torch.where(batch.loss_mask, SOURCES.index("corpus"), batch.targets)
    return replace(batch, groups=groups, group_names=SOURCES)
