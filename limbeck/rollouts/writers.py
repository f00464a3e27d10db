"""Who can write completions: a model in this process, or anybody who takes prompts and weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from limbeck.inference.request import TokenIds
from limbeck.inference.sample import sample
from limbeck.rollouts.score import Ask


@dataclass(frozen=True)
class WriteOptions:
    """How completions are drawn.

    Attributes:
        max_new_tokens: of all prompts, or of each.
        sampling_temperature: 0 takes the likeliest token.
        top_p: draws from the smallest set of tokens with this probability.
        guide_share: the teacher's part in each token that the student writes.
        seed: of the draws.
    """

    max_new_tokens: int | Sequence[int]
    sampling_temperature: float
    top_p: float
    guide_share: float
    seed: int


class Writer(Protocol):
    """A model that completes prompts, wherever it runs."""

    def write(self, prompts: Sequence[Sequence[int]], options: WriteOptions) -> list[list[int]]:
        """The ids written behind each prompt, its end token among them; equal for equal weights and seeds."""

    def sync(self, weights: nn.Module) -> None:
        """Write with the weights that this model has now; called before each step's rows are written."""


@dataclass(frozen=True)
class LocalWriter:
    """A model in this process.

    Attributes:
        model: causal.
        ids: end and padding tokens.
        vocabulary: ids from here on are never written; None: all may be.
        guide: another model that can have a part in each token, or None.
    """

    model: nn.Module
    ids: TokenIds
    vocabulary: int | None
    guide: nn.Module | None = None

    def write(self, prompts: Sequence[Sequence[int]], options: WriteOptions) -> list[list[int]]:
        """See `Writer`."""
        drawn = sample(
            self.model,
            prompts,
            tokenizer_or_ids=self.ids,
            max_new_tokens=options.max_new_tokens,
            sampling_temperature=options.sampling_temperature,
            top_p=options.top_p,
            seed=options.seed,
            vocabulary=self.vocabulary,
            guide=self.guide if options.guide_share else None,
            guide_share=options.guide_share,
        )
        return [one.ids for one in drawn]

    def sync(self, weights: nn.Module) -> None:
        """Nothing: it writes with the very weights that are trained."""


@dataclass(frozen=True)
class Writers:
    """Who can write and who judges.

    Attributes:
        trained: the model that is trained.
        student: writes with its weights.
        ask_student: reads its distribution, without gradients.
        teacher: a teacher that can write, or None.
        ask_teacher: reads the teacher's distribution, or None.
        ids: end and padding tokens.
    """

    trained: nn.Module
    student: Writer
    ask_student: Ask
    teacher: Writer | None
    ask_teacher: Ask | None
    ids: TokenIds

    @property
    def device(self) -> torch.device:
        """Where the student is."""
        return next(self.trained.parameters()).device
