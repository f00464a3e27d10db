"""BM25 against values worked out by hand."""

import math

import pytest

from limbeck.core.bm25 import Bm25


def test_scores_are_those_worked_out_by_hand() -> None:
    # Lengths 2, 4 and 3, mean 3. "red" stands in two of three texts: idf = log(1 + 1.5 / 2.5).
    index = Bm25(["red ink", "red pen red pen", "blue of ink"])
    idf = math.log(1.6)
    first = idf * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3))
    second = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 3))
    assert index.scores("Red!").tolist() == pytest.approx([first, second, 0.0])


def test_words_of_a_query_add_up_and_those_of_no_text_count_nothing() -> None:
    index = Bm25(["red ink", "red pen red pen", "blue of ink"])
    assert index.scores("red ink or gold") == pytest.approx(index.scores("red") + index.scores("ink"))
    assert index.best("gold", 3) == [] and index.best("red", 9) == [1, 0]
