"""Phrases found by rule, and which tokens belong to them."""

import numpy as np
import pytest

from limbeck.rows.spans import OUTSIDE, phrases, spans_of_tokens
from limbeck.rows.tokens import encode_with_offsets


def words(text):
    return [text[start:end] for start, end in phrases(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The quick brown fox jumped over the lazy dog.", ["quick brown fox jumped", "lazy dog"]),
        ("machine learning, deep learning", ["machine learning", "deep learning"]),
        ("one line\nnext line", ["one line", "next line"]),
        ("state-of-the-art results don't matter", ["state-of-the-art results don't matter"]),
        ("cat", []),
        ("the cat and the dog", []),
        ("", []),
        ("Überall grüne Wiesen", ["Überall grüne Wiesen"]),
        ("red  car", ["red  car"]),
    ],
)
def test_phrases_end_at_punctuation_line_breaks_and_function_words(text, expected):
    assert words(text) == expected


def test_a_token_belongs_to_the_span_that_holds_it_with_its_leading_space():
    #       0123456789
    text = "a red car, big dog"
    offsets = np.array([[0, 1], [1, 5], [5, 9], [9, 10], [10, 14], [14, 18], [0, 0]])
    assert spans_of_tokens(offsets, phrases(text)).tolist() == [OUTSIDE, 0, 0, OUTSIDE, 1, 1, OUTSIDE]


def test_a_token_that_reaches_out_of_a_span_is_outside():
    assert spans_of_tokens(np.array([[2, 5], [5, 10]]), [(2, 9)]).tolist() == [0, OUTSIDE]
    assert spans_of_tokens(np.array([[0, 5]]), [(2, 9)]).tolist() == [OUTSIDE]


def test_spans_of_a_real_tokenizer_hold_the_words_of_the_phrase(subwords):
    text = "the answer sat on the big mat log, the dog"
    ids, offsets = encode_with_offsets(subwords, [text])[0]
    spans = spans_of_tokens(offsets, phrases(text))
    texts = [subwords.decode(ids[spans == span]).strip() for span in range(spans.max() + 1)]
    assert texts == words(text) == ["answer sat", "big mat log"]


def test_no_phrases_and_no_tokens_give_no_spans():
    assert spans_of_tokens(np.zeros((0, 2), dtype=np.int64), [(0, 3)]).tolist() == []
    assert spans_of_tokens(np.array([[0, 3]]), []).tolist() == [OUTSIDE]
