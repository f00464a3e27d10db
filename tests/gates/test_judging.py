"""Several gates over rows: verdicts beside rows, counts, and chunks that come one after the other."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from limbeck.core.errors import ConfigError, RowError
from limbeck.gates.judging import Gate, Judged, Judging, Needs
from limbeck.gates.verdict import verdicts_of

ROWS = [{"id": str(place), "text": text} for place, text in enumerate(["a", "bb", "BB", "cccc", "a"])]


def judged(gates: Sequence[Gate], rows=ROWS, **settings) -> tuple[list[Judged], list[dict]]:
    judging = Judging(gates, **settings)
    return asyncio.run(judging.judged(rows)), judging.counts()


def test_every_row_keeps_its_reason_and_later_gates_see_what_earlier_ones_let_through() -> None:
    found, counts = judged([Gate("length", {"max": 3}), Gate("exact_duplicate")])
    assert [one.accepted for one in found] == [True, True, False, False, False]
    assert [[(v["gate"], v["reason"]) for v in verdicts_of(one.row)] for one in found] == [
        [("length", "accepted"), ("exact_duplicate", "accepted")],
        [("length", "accepted"), ("exact_duplicate", "accepted")],
        [("length", "accepted"), ("exact_duplicate", "duplicate")],
        [("length", "long")],
        [("length", "accepted"), ("exact_duplicate", "duplicate")],
    ]
    assert counts == [
        {"gate": "length", "judged": 5, "rejected": 1, "reasons": {"long": 1}},
        {"gate": "exact_duplicate", "judged": 4, "rejected": 2, "reasons": {"duplicate": 2}},
    ]


def test_with_any_every_gate_judges_every_row_and_one_is_enough() -> None:
    found, counts = judged([Gate("length", {"max": 1}), Gate("length", {"min": 4})], keep="any")
    assert [one.accepted for one in found] == [True, False, False, True, True]
    assert [one["judged"] for one in counts] == [5, 5]


def test_rows_in_chunks_are_judged_as_in_one_piece() -> None:
    whole, counts = judged([Gate("exact_duplicate")])
    judging = Judging([Gate("exact_duplicate")])
    chunks = [asyncio.run(judging.judged(ROWS[start : start + 2])) for start in range(0, 5, 2)]
    assert [one for chunk in chunks for one in chunk] == whole and judging.counts() == counts


def test_new_verdicts_stand_behind_those_a_row_had_and_the_row_given_is_not_changed() -> None:
    first, _ = judged([Gate("length", {"max": 9})])
    before = json.dumps(first[0].row)
    second, _ = judged([Gate("length", {"max": 3})], [first[0].row])
    assert [one["score"] for one in verdicts_of(second[0].row)] == [1, 1]
    assert json.dumps(first[0].row) == before


def test_without_gates_all_rows_are_accepted() -> None:
    assert all(one.accepted for one in judged([])[0]) and all(
        one.accepted for one in judged([], keep="any")[0]
    )


def test_a_row_without_an_answer_is_said_by_its_id() -> None:
    with pytest.raises(RowError, match=r"row 7: .*got id, words\. Name the column"):
        judged([Gate("length", {"max": 3})], [{"id": "7", "words": "a"}])
    with pytest.raises(RowError, match=r"must have the column 'wrods'\. Did you mean 'words'"):
        judged([Gate("length", {"max": 3, "column": "wrods"})], [{"id": "7", "words": "a"}])


def test_needs_are_none_unless_given() -> None:
    assert Needs() == Needs(against=None, classifier=None, scorer=None, ask=None)
    assert Gate("exact_duplicate").needs == ()


def test_edges_that_cross_are_refused() -> None:
    with pytest.raises(ConfigError, match="min must be at most max"):
        judged([Gate("length", {"min": 3, "max": 2})])


def test_scores_of_a_gate_are_told_by_their_median_and_tenths() -> None:
    judging = Judging([Gate("length", {"max": 3}), Gate("json_schema", {"schema": {}})])
    assert judging.spreads() == [None, None]
    asyncio.run(judging.judged(ROWS))
    # Lengths 1, 2, 2, 4, 1: a tenth of the way from the first to the last of five is 0.4 places.
    assert judging.spreads()[0] == pytest.approx({"low": 1.0, "median": 2.0, "high": 3.2, "mean": 2.0})
