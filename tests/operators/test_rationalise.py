"""Reasons and answers of a scripted teacher."""

import asyncio

import pytest

from limbeck.core.errors import RowError
from limbeck.operators import rationalise
from tests.operators.scripted import Scripted, read_by, reasons, student_part

CQA = {"question": "What is wet?", "choices": ["sand", "ink"], "answer": "ink"}


def run(row, answers, **options):
    teacher = Scripted(answers)
    rows = asyncio.run(rationalise({"id": "r1", **row}, teacher, **options))
    return rows, teacher


def test_few_shot_reasons_and_the_text_of_the_choice() -> None:
    (row,), teacher = run(CQA, [" Ink is a fluid. So the answer is (a) sand.\n"], prompt="step_by_step_cqa")
    assert student_part(row) == {
        "question": "What is wet?",
        "choices": ["sand", "ink"],
        "answer": "sand",
        "reference": "ink",
        "rationale": "Ink is a fluid.",
    }
    read = read_by(teacher.asked[0])
    assert read.startswith("Q: Where would you keep milk")
    assert "So the answer is (d) violin.\n\nQ: What is wet?\nAnswer Choices:\n(a) sand\n(b) ink\nA:" in read
    assert teacher.asked[0].stop == ("\nQ:",) and teacher.asked[0].temperature == 0.0


def test_own_labels_go_with_the_teachers_reasons() -> None:
    (row,), _ = run(CQA, ["b So the answer is (a) sand."], prompt="step_by_step_cqa", labels="own")
    assert (row["answer"], row["rationale"]) == ("ink", "b")


def test_own_labels_must_be_there() -> None:
    with pytest.raises(RowError, match="row r1: must have an answer for labels: own"):
        run({"prompt": "p"}, [], labels="own")


def test_the_student_can_keep_the_reasons_to_itself() -> None:
    (row,), teacher = run({"prompt": "17+25?"}, ["17+25=42.\nAnswer: 42"], learn="answer")
    assert student_part(row) == {"prompt": "17+25?", "completion": "42"}
    assert "step by step" in read_by(teacher.asked[0])


def test_the_student_can_write_the_reasons_too() -> None:
    (row,), _ = run({"prompt": "17+25?"}, ["I write Answer: at the end.\nAnswer: 42"], learn="reasoning")
    assert row["completion"] == "I write Answer: at the end. Answer: 42"


def test_pairs_of_texts_keep_their_kind() -> None:
    row = {"text_a": "It rains.", "text_b": "It is wet.", "label": "neutral"}
    (made,), _ = run(row, ["Rain is wet. So the answer is entailment."], prompt="step_by_step_nli")
    assert student_part(made) == {
        "text_a": "It rains.",
        "text_b": "It is wet.",
        "label": "entailment",
        "reference": "neutral",
        "rationale": "Rain is wet.",
    }


def test_replies_that_cannot_be_read_are_rejected_with_the_reason() -> None:
    answers = ["No idea.", "Answer: 4", "x\nAnswer:"]
    rows, _ = run({"prompt": "p"}, answers, samples=3, sampling_temperature=0.7)
    assert reasons(rows) == ["no_cue", "no_rationale", "no_answer"]
    assert all("completion" not in row for row in rows)
