"""ANLS: values by hand, of single texts and of what models write."""

from dataclasses import replace

import pytest
import torch

from limbeck.core.edit_similarity import anls as similarity
from limbeck.evaluation.anls import anls
from limbeck.evaluation.data import EvaluationData
from limbeck.evaluation.generation import generation
from limbeck.evaluation.written import written
from tests.evaluation.tiny import Texts, causal, rows_of, settings, subject


@pytest.mark.parametrize(
    ("text", "expected", "value"),
    [
        ("abc", ["abd"], 2 / 3),  # one edit of three letters
        ("abc", ["xyz"], 0.0),
        ("abcd", ["abxy"], 0.5),  # at the threshold it counts
        ("abcde", ["abxyz"], 0.0),  # 0.4 is below it
        ("  12  MAY", ["12 may"], 1.0),
        ("abc", ["xyz", "abd", "abcx"], 3 / 4),  # the nearest
        ("", [""], 1.0),
        ("abc", [], 0.0),
    ],
)
def test_similarity_is_one_minus_edits_by_the_longer_length_and_zero_below_a_half(text, expected, value):
    assert similarity(text, expected) == pytest.approx(value)


def test_completions_are_written_once_and_held_against_all_answers_that_are_right(monkeypatch):
    source = Texts([[5, 6, 7, 8, 9, 4], [6, 7, 8, 9, 5, 4]], prompt=3)
    rows = {row["id"]: row for row in rows_of(source)}
    both = [subject("student", causal(1), "student"), subject("baseline", causal(2), "baseline")]
    evidence = EvaluationData(both, source, rows, settings("causal", "anls", max_new_tokens=3))
    said = written(evidence).said["student"]
    assert written(evidence) is written(evidence)
    with torch.no_grad():
        found = generation(replace(evidence, made={}))
    samples = [one["texts"]["student"] for one in found["samples"]]
    assert said == samples, "what the other metric shows"
    place = [one.row for one in written(evidence).prompts].index("r0")
    evidence.rows["r0"]["answers"] = ["none of them", said[place]]
    result = anls(evidence)
    by_row = evidence.by_row["anls"]["student"]
    assert by_row["r0"] == 1.0
    assert result["subjects"]["student"]["anls"]["value"] == pytest.approx(sum(by_row.values()) / 2)
    assert [one["measure"] for one in result["comparisons"]] == ["anls"]
