"""Causal models: the next token, from left to right, prompt and answer in one sequence."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from limbeck.core.architectures import is_seq2seq, is_writer
from limbeck.core.masks import next_token_targets
from limbeck.rows.causal import causal_examples
from limbeck.rows.exchange import has_exchange
from limbeck.rows.kinds import Kind
from limbeck.rows.rendered import RenderedRows
from limbeck.rows.text_kind import PADDING, Collated, TextKind, padded_inputs

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Causal(TextKind):
    """A model that continues text."""

    name = "causal"
    auto_class = "AutoModelForCausalLM"
    pipeline_tag = "text-generation"
    limits = "Whether what it writes is true was not measured."
    scores_tokens = writes = packs = storable = True
    row_kinds = (*(kind for kind in Kind if has_exchange(kind)), Kind.MESSAGES, Kind.TEXT)
    list_columns = (("is_target", np.bool_),)
    examples = staticmethod(causal_examples)

    def is_saved_as(self, architecture: str, config: "PreTrainedConfig") -> bool:
        """The classes with a head over the vocabulary and no encoder."""
        return is_writer(architecture) and not is_seq2seq(architecture, config)

    def collate(
        self, rows: RenderedRows, indices: Sequence[int], *, pad: int, decoder_start: int | None
    ) -> Collated:
        """Each position predicts the next token of its row, where that is in the loss."""
        inputs, is_read = padded_inputs(rows, indices, pad)
        is_target, _ = rows.padded("is_target", indices, 0)
        sequence_ids = np.where(is_read, 0, PADDING)
        return Collated(
            inputs, next_token_targets(inputs["input_ids"], is_target.astype(np.bool_), sequence_ids)
        )


KIND = Causal()
