"""Classifiers: one of several named classes for a row, or a number where there is one output."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from limbeck.rows.classes import classifier_examples
from limbeck.rows.kinds import Kind
from limbeck.rows.rendered import RenderedRows
from limbeck.rows.text_kind import Collated, TextKind, padded_inputs

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Classifier(TextKind):
    """A model with a head over classes."""

    name = "classifier"
    auto_class = "AutoModelForSequenceClassification"
    pipeline_tag = "text-classification"
    limits = "It gives one of its classes to any text, also to one that belongs to none."
    has_classes = fresh_head = True
    rates = ((2e7, 3e-4), (5e7, 1e-4), (math.inf, 2e-5))  # Turc et al. 2019, arXiv:1908.08962
    row_kinds = (Kind.LABELLED_TEXT, Kind.LABELLED_PAIR)
    list_columns = (("token_type_ids", np.int32),)
    number_columns = ("label",)
    examples = staticmethod(classifier_examples)

    def is_saved_as(self, architecture: str, config: "PreTrainedConfig") -> bool:
        """The classes with a head over the classes of a sequence."""
        return architecture.endswith("ForSequenceClassification")

    def collate(
        self, rows: RenderedRows, indices: Sequence[int], *, pad: int, decoder_start: int | None
    ) -> Collated:
        """One target a row."""
        inputs, _ = padded_inputs(rows, indices, pad)
        types, lengths = rows.padded("token_type_ids", indices, 0)
        if lengths.any():
            inputs["token_type_ids"] = types
        return Collated(inputs, rows.numbers["label"][list(indices)].astype(np.int64))


KIND = Classifier()
