"""Summaries, other words, and reasons with a hint, from a scripted teacher."""

import asyncio

import pytest

from limbeck.core.asking import Reply
from limbeck.core.errors import RowError
from limbeck.operators import (
    chain_of_density,
    questions,
    rationalise,
    rationalise_wrong,
    retrieve_answer,
    rewrite,
)
from tests.operators.scripted import Scripted, read_by, reasons, student_part


def run(operator, row, said, **options):
    teacher = Scripted(said)
    return asyncio.run(operator({"id": "r1", **row}, teacher, **options)), teacher


def test_every_round_reads_the_summary_before_it_and_the_last_one_is_learnt() -> None:
    (row,), teacher = run(chain_of_density, {"text": "Long."}, ["one", "two", "three"], rounds=3)
    assert student_part(row) == {"prompt": "Summarise this text.\n\nLong.", "completion": "three"}
    first, second, third = map(read_by, teacher.asked)
    assert "about 80 words" in first and "version" not in first
    assert "(version 1 of 3):\none\n" in second and "(version 2 of 3):\ntwo\n" in third
    assert len(row["requests"]) == 3 and row["tokens_in"] == 30 and row["cost"] == "0.003"


def test_a_summary_that_was_cut_is_not_made_denser() -> None:
    rows, teacher = run(chain_of_density, {"text": "t"}, ["one", Reply("tw", finish="length")], rounds=3)
    assert reasons(rows) == ["length"] and len(teacher.asked) == 2


def test_a_rewritten_question_keeps_its_answer() -> None:
    rows, _ = run(rewrite, {"question": "What is 2+2?", "answer": "4"}, ["Sum of two twos?"])
    assert [student_part(row) for row in rows] == [{"prompt": "Sum of two twos?", "completion": "4"}]
    assert (rows[0]["id"], rows[0]["parents"]) == ("r1~rewritten", ["r1"])


def test_a_rewritten_answer_keeps_its_question() -> None:
    options = {"what": "answer", "prompt": "rewrite_answer"}
    rows, teacher = run(rewrite, {"question": "2+2?", "answer": "its 4"}, ["It is 4."], **options)
    assert student_part(rows[0]) == {"question": "2+2?", "answer": "It is 4.", "reference": "its 4"}
    assert "its 4" in read_by(teacher.asked[0])


def test_what_was_there_before_is_no_version() -> None:
    rows, _ = run(rewrite, {"prompt": "What is  it?"}, [" What is it? "])
    assert reasons(rows) == ["unchanged"]


def test_there_must_be_an_answer_to_rewrite() -> None:
    with pytest.raises(RowError, match="must have an answer to rewrite"):
        run(rewrite, {"prompt": "p"}, [], what="answer")


def test_reasons_are_learnt_without_the_hint() -> None:
    row = {"question": "17+25?", "answer": "41", "reference": "42"}
    (made,), teacher = run(rationalise_wrong, row, ["Tens make 30.\nAnswer: 42"])
    assert student_part(made) == {
        "question": "17+25?",
        "answer": "Tens make 30. Answer: 42",
        "reference": "42",
    }
    assert "(Hint: the answer is 42.)" in read_by(teacher.asked[0])


def test_reasons_that_tell_of_the_hint_are_rejected() -> None:
    answers = ["As the hint says.\nAnswer: 42"]
    rows, _ = run(rationalise_wrong, {"prompt": "17+25?", "completion": "42"}, answers)
    assert reasons(rows) == ["hint_told"]
    rows, _ = run(rationalise_wrong, {"prompt": "Give a hint: 17+25?", "completion": "42"}, answers)
    assert reasons(rows) == [None]


def test_a_hint_must_be_known() -> None:
    with pytest.raises(RowError, match="reference or an answer as the hint"):
        run(rationalise_wrong, {"prompt": "p"}, [])


def test_a_text_becomes_questions_that_it_answers() -> None:
    said = ["1. What is ink?\n2. Ink is a fluid.\n3. What is ink?", Reply("1. Why is in", finish="length")]
    rows, teacher = run(questions, {"text": "Ink is a fluid.", "topic": "ink"}, said, samples=2)
    assert student_part(rows[0]) == {
        "prompt": "What is ink?",
        "documents": ["Ink is a fluid."],
        "topic": "ink",
    }
    assert reasons(rows) == [None, "no_question", "length"]
    assert [row["id"] for row in rows] == ["r1~question0.0", "r1~question0.1", "r1~question1"]
    assert "Write 3 different questions" in read_by(teacher.asked[0])


def test_questions_are_answered_from_the_texts_they_came_from() -> None:
    made = [run(questions, {"id": name, "text": f"Text {name}."}, ["1. Who?"])[0][0] for name in "ab"]
    teacher = Scripted(lambda request: 'It says "so".\nAnswer: he')
    rows = asyncio.run(retrieve_answer(made, teacher, distractors=1, without=0.0))
    assert read_by(teacher.asked[0]).startswith("Document 1:\nText a.\n\nQuestion: Who?")
    assert all("Text a." in row["prompt"] and "Text b." in row["prompt"] for row in rows)


def test_answers_in_json_are_held_to_their_schema() -> None:
    said = ['{"rationale": "two twos", "answer": "4"}', '{"rationale": "two twos"}']
    options = {"prompt": "chain_of_thought_json", "samples": 2, "sampling_temperature": 0.5}
    rows, teacher = run(rationalise, {"prompt": "2+2?"}, said, **options)
    assert (rows[0]["rationale"], rows[0]["completion"]) == ("two twos", "4")
    assert reasons(rows) == [None, "no_field"]
    assert teacher.asked[0].schema["required"] == ["rationale", "answer"]


def test_an_answer_is_revised_by_principles() -> None:
    options = {"what": "answer", "prompt": "revise_by_principles"}
    (row,), teacher = run(rewrite, {"prompt": "p", "completion": "rude"}, ["kind"], **options)
    assert (row["completion"], row["reference"]) == ("kind", "rude")
    assert "- An answer is honest" in read_by(teacher.asked[0])
