"""Masked language models: hidden tokens of a text, from what stands on both sides of them.

Tokens are hidden as BERT hides them (Devlin et al. 2018, arXiv:1810.04805) and drawn anew in each step, as in
RoBERTa (Liu et al. 2019, arXiv:1907.11692): of each row `mlm_probability` of its tokens, at least one and no
special ones; of those 80 % become the mask token, 10 % any token of the tokenizer, and 10 % stay. Only hidden
tokens are in the loss. transformers' DataCollatorForLanguageModeling throws a coin for each token instead, so
that a short row may have nothing to learn from.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from limbeck.core.config import Config
from limbeck.core.errors import ModelError, Problem
from limbeck.core.masks import IGNORE
from limbeck.core.seeds import generator
from limbeck.rows.classes import encoder_examples
from limbeck.rows.kinds import Kind
from limbeck.rows.rendered import RenderedRows
from limbeck.rows.rendering import Rendering
from limbeck.rows.text_kind import Collated, TextKind, padded_inputs
from limbeck.rows.tokens import Ids

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from limbeck.core.batch import Batch

HIDDEN = "texts of which mlm_probability of the marked tokens are hidden anew in each step and in the loss"
"""A note of `rows.render.notes_of`."""

_MASKED, _REPLACED = 0.8, 0.9  # shares: up to the first the mask token, up to the second any token


class MaskedExample(NamedTuple):
    """One text: ids [n] and, [n], which of them may be hidden."""

    row_id: str
    input_ids: Ids
    is_target: NDArray[np.bool_]


def masked_examples(
    rows: Sequence[Mapping[str, Any]],
    kind: Kind,
    tokenizer: "PreTrainedTokenizerBase",
    rendering: Rendering,
    *,
    notes: Counter[str],
    problems: list[Problem],
) -> list[MaskedExample]:
    """One input a text, cut at `max_length`; all but special tokens may be hidden.

    Raises:
        ModelError: the tokenizer has no mask token.
    """
    if tokenizer.mask_token_id is None:
        raise ModelError(
            f"the tokenizer must have a mask token, got {type(tokenizer).__name__} without. "
            "Take a model that was pretrained with one."
        )
    notes[HIDDEN] += len(rows)
    found = encoder_examples(rows, kind, tokenizer, rendering, notes=notes, problems=problems)
    return [
        MaskedExample(one.row_id, one.input_ids, ~np.isin(one.input_ids, tokenizer.all_special_ids))
        for one in found
    ]


class MaskedLMSettings(Config):
    """How much of a row is hidden."""

    mlm_probability: float = Field(
        default=0.15, gt=0, lt=1, description="share of the tokens of a row that a masked_lm must fill in"
    )


class MaskedLM(TextKind):
    """A model that fills in hidden tokens."""

    name = "masked_lm"
    auto_class = "AutoModelForMaskedLM"
    pipeline_tag = "fill-mask"
    limits = "How it does on a task it is fine-tuned for was not measured."
    scores_tokens = draws = True
    settings = MaskedLMSettings
    fills_in = True
    """What the metric `masked_tokens` measures."""
    # The first measured (docs/log.md); DistilBERT with 66 M (arXiv:1910.01108), BERT with 110 M and more.
    rates = ((3e6, 3e-3), (3e7, 1e-3), (1e8, 5e-4), (math.inf, 1e-4))
    row_kinds = (Kind.TEXT, Kind.LABELLED_TEXT, Kind.LABELLED_PAIR, Kind.SCORED_PAIR, Kind.QUESTION)
    list_columns = (("is_target", np.bool_),)
    examples = staticmethod(masked_examples)

    def is_saved_as(self, architecture: str, config: "PreTrainedConfig") -> bool:
        """The classes with a head that fills in tokens."""
        return architecture.endswith("ForMaskedLM")

    def collate(
        self, rows: RenderedRows, indices: Sequence[int], *, pad: int, decoder_start: int | None
    ) -> Collated:
        """Texts as they are; each token that may be hidden is a target."""
        inputs, _ = padded_inputs(rows, indices, pad)
        is_target, _ = rows.padded("is_target", indices, 0)
        return Collated(inputs, np.where(is_target, inputs["input_ids"], IGNORE))

    def drawn(
        self, batch: "Batch", tokenizer: "PreTrainedTokenizerBase", step: Any, *, at: int | str
    ) -> "Batch":
        """The batch with hidden tokens, which alone are targets."""
        assert batch.targets is not None
        import torch  # kinds are known without it

        ids, targets = (one.cpu().numpy() for one in (batch.inputs["input_ids"], batch.targets))
        shown, wanted = ids.copy(), np.full_like(targets, IGNORE)
        for line, names in enumerate(batch.row_ids):
            random = generator(step.seed, "masks", at, *names)
            chosen = _chosen(np.flatnonzero(targets[line] != IGNORE), step.mlm_probability, random)
            wanted[line, chosen] = targets[line, chosen]
            shown[line, chosen] = _shown(ids[line, chosen], tokenizer, random)
        inputs = {**batch.inputs, "input_ids": torch.from_numpy(shown).to(batch.device)}
        return replace(batch, inputs=inputs, targets=torch.from_numpy(wanted).to(batch.device))


def _chosen(places: NDArray[np.int64], share: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Which of these places are hidden: `share` of them, at least one if there is any."""
    count = min(len(places), max(1, round(share * len(places))))
    return np.sort(random.permutation(places)[:count])


def _shown(
    ids: NDArray[np.int64], tokenizer: "PreTrainedTokenizerBase", random: np.random.Generator
) -> NDArray[np.int64]:
    """What stands in the place of hidden tokens."""
    draw, other = random.random(len(ids)), random.integers(len(tokenizer), size=len(ids))
    return np.where(draw < _MASKED, tokenizer.mask_token_id, np.where(draw < _REPLACED, other, ids))


KIND = MaskedLM()
