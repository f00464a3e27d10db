"""Phrases in batches: of targets, as numbers, outside of what is not learnt."""

import torch

from limbeck.core.batch import Batch
from limbeck.core.masks import IGNORE
from limbeck.rows.spans import OUTSIDE, spans_of_pieces
from limbeck.runs.assembly.transforms.spans import SpanMarker


class Spelling:
    """A vocabulary of whole words in byte-level spelling."""

    words = ("the", "Ġgreen", "Ġcat", "Ġsat", ".", "Ġold", "Ġred", "Ġhat")

    def convert_ids_to_tokens(self, ids):
        return [self.words[index] for index in ids]


def test_pieces_of_one_phrase_share_a_number():
    # `the` and the full stop end phrases; `sat` stands in the first one, since no tagger is asked.
    spans = spans_of_pieces(["the", "Ġgreen", "Ġcat", "Ġsat", ".", "Ġold", "Ġred", "Ġhat"])
    assert spans.tolist() == [OUTSIDE, 0, 0, 0, OUTSIDE, 1, 1, 1]
    assert spans_of_pieces(["▁the", "▁green", "▁cat"]).tolist() == [OUTSIDE, 0, 0]
    assert spans_of_pieces([]).tolist() == []


def test_a_batch_gets_the_phrases_of_its_targets():
    ids = torch.arange(8)[None]
    targets = torch.tensor([[IGNORE, 2, 3, 4, 5, 6, 7, IGNORE]])
    batch = Batch(inputs={"input_ids": ids}, targets=targets, row_ids=[["r"]])
    (marked,) = SpanMarker(Spelling())([batch], 0, 1)
    # Position t stands for token t + 1; the first target is not learnt, the last position has none.
    assert marked.signals["spans"].tolist() == [[OUTSIDE, 0, 0, OUTSIDE, 1, 1, 1, OUTSIDE]]
