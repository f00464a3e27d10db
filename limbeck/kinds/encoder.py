"""Encoders: vectors of text, which predict nothing; objectives compare their states."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from limbeck.core.architectures import is_seq2seq, is_writer
from limbeck.rows.classes import encoder_examples
from limbeck.rows.kinds import Kind
from limbeck.rows.rendered import RenderedRows
from limbeck.rows.text_kind import Collated, TextKind, padded_inputs

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Encoder(TextKind):
    """A model without a head."""

    name = "encoder"
    auto_class = "AutoModel"
    pipeline_tag = "feature-extraction"
    limits = "Its embeddings are compared with the teacher's only on text like the held-out rows."
    embeds = True
    rates = ((math.inf, 6e-4),)  # Wang et al. 2020, arXiv:2012.15828
    row_kinds = (
        Kind.TEXT, Kind.LABELLED_TEXT, Kind.LABELLED_PAIR, Kind.SCORED_PAIR, Kind.TAGS, Kind.QUESTION,
        Kind.PROMPT,
    )  # fmt: skip
    examples = staticmethod(encoder_examples)

    def is_saved_as(self, architecture: str, config: "PreTrainedConfig") -> bool:
        """The classes without a head."""
        has_head = is_writer(architecture) or is_seq2seq(architecture, config)
        return architecture.endswith("Model") and not has_head

    def collate(
        self, rows: RenderedRows, indices: Sequence[int], *, pad: int, decoder_start: int | None
    ) -> Collated:
        """Inputs alone."""
        inputs, _ = padded_inputs(rows, indices, pad)
        return Collated(inputs, None)


KIND = Encoder()
