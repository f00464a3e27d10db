"""Encoder-decoder models: the encoder reads the prompt, the decoder writes the answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from limbeck.core.architectures import is_seq2seq
from limbeck.core.masks import IGNORE, shift_right
from limbeck.rows.exchange import has_exchange
from limbeck.rows.kinds import Kind
from limbeck.rows.rendered import RenderedRows
from limbeck.rows.seq2seq import seq2seq_examples
from limbeck.rows.text_kind import Collated, TextKind, padded_inputs

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Seq2Seq(TextKind):
    """A model that answers text."""

    name = "seq2seq"
    auto_class = "AutoModelForSeq2SeqLM"
    pipeline_tag = "text2text-generation"
    limits = "Whether what it writes is true was not measured."
    scores_tokens = writes = encoder_decoder = storable = True
    row_kinds = (*(kind for kind in Kind if has_exchange(kind)), Kind.MESSAGES)
    list_columns = (("target_ids", np.int32),)
    examples = staticmethod(seq2seq_examples)

    def is_saved_as(self, architecture: str, config: "PreTrainedConfig") -> bool:
        """The classes with a decoder that writes, of configurations that have an encoder."""
        return is_seq2seq(architecture, config)

    def collate(
        self, rows: RenderedRows, indices: Sequence[int], *, pad: int, decoder_start: int | None
    ) -> Collated:
        """Each position of the decoder predicts the token behind the one it reads."""
        assert decoder_start is not None, "checked with the source"
        inputs, _ = padded_inputs(rows, indices, pad)
        targets, _ = rows.padded("target_ids", indices, IGNORE)
        inputs["decoder_input_ids"] = shift_right(targets, decoder_start, pad)
        return Collated(inputs, targets)


KIND = Seq2Seq()
