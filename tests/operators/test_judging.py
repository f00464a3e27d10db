"""Scores, comparisons and preferences of scripted judges."""

import asyncio

import pytest

from limbeck.core.errors import RowError
from limbeck.operators import judge, judge_pair, preferences
from tests.operators.scripted import Scripted, read_by, reasons, student_part

PAIR = {"prompt": "p", "chosen": "good", "rejected": "bad"}


def run(operator, row, said, **options):
    teacher = Scripted(said)
    return asyncio.run(operator({"id": "r1", **row}, teacher, **options)), teacher


def test_a_judged_row_keeps_its_answer_and_gets_a_score() -> None:
    row = {"question": "2+2?", "answer": "5", "rationale": "r", "reference": "4"}
    (made,), teacher = run(judge, row, ["Wrong sum. [[2]] or rather [[1]]"])
    assert student_part(made) == {**row, "judge_score": 1.0, "critique": "Wrong sum. [[2]] or rather"}
    assert "Question:\n2+2?\n\nAnswer:\n5\n" in read_by(teacher.asked[0])


def test_a_judge_without_a_score_is_no_judge() -> None:
    rows, _ = run(judge, {"prompt": "p", "completion": "c"}, ["Good: 8/10"])
    assert reasons(rows) == ["no_score"]


@pytest.mark.parametrize("operator", [judge, judge_pair])
def test_there_must_be_something_to_judge(operator) -> None:
    with pytest.raises(RowError, match="row r1: must have an answer"):
        run(operator, {"prompt": "p"}, [])


@pytest.mark.parametrize(
    ("verdicts", "winner", "consistent"),
    [
        (["[[A]]", "[[B]]"], "first", True),
        (["[[B]]", "[[A]]"], "second", True),
        (["[[C]]", "[[C]]"], "tie", True),
        (["[[A]]", "[[A]]"], "tie", False),  # a judge that always takes the first
        (["[[A]]", "[[C]]"], "tie", False),
    ],
)
def test_a_winner_must_win_in_both_orders(verdicts, winner, consistent) -> None:
    (row,), teacher = run(judge_pair, PAIR, verdicts)
    assert (row["winner"], row["consistent"]) == (winner, consistent)
    assert "Answer A:\ngood\n\nAnswer B:\nbad" in read_by(teacher.asked[0])
    assert "Answer A:\nbad\n\nAnswer B:\ngood" in read_by(teacher.asked[1])


def test_answers_that_are_turns_are_compared_by_what_they_say() -> None:
    turns = {name: [{"role": "assistant", "content": name}] for name in ("chosen", "rejected")}
    _, teacher = run(judge_pair, {"prompt": "p", **turns}, ["[[A]]", "[[B]]"])
    assert "Answer A:\nchosen\n" in read_by(teacher.asked[0])


def test_an_order_without_a_verdict_gives_no_row_to_learn_from() -> None:
    rows, _ = run(judge_pair, PAIR, ["[[A]]", "Both."])
    assert reasons(rows) == ["no_winner"]


def test_the_best_answer_is_chosen_and_the_worst_rejected() -> None:
    answers = ["a", "b", "c", "ok [[3]]", "ok [[9]]", "ok [[1]]"]
    (row,), _ = run(preferences, {"prompt": "p"}, answers, answers=3, rejects="worst")
    assert student_part(row) == {
        "prompt": "p",
        "chosen": "b",
        "rejected": "c",
        "chosen_score": 9.0,
        "rejected_score": 1.0,
        "answers": ["a", "b", "c"],
        "scores": [3.0, 9.0, 1.0],
    }
    assert len(row["requests"]) == 6


def test_any_other_than_the_best_may_be_rejected() -> None:
    row = {"prompt": "p", "answers": ["a", "b", "c"]}
    found = set()
    for seed in range(20):
        (made,), teacher = run(preferences, row, ["[[9]]", "[[3]]", "[[9]]"], seed=seed)
        found.add((made["chosen"], made["rejected"]))
        assert len(teacher.asked) == 3  # given answers are not asked for
    assert found == {("a", "b")}  # c is as good as the chosen one


def test_equal_scores_make_no_pair() -> None:
    rows, _ = run(preferences, {"prompt": "p", "answers": ["a", "b"]}, ["[[5]]", "[[5]]"])
    assert reasons(rows) == ["all_equal"]


def test_a_conversation_has_its_pair_as_turns() -> None:
    turns = [{"role": "user", "content": "Hi"}]
    (row,), _ = run(preferences, {"messages": turns, "answers": ["a", "b"]}, ["[[1]]", "[[2]]"])
    assert (row["messages"], row["chosen"]) == (turns, [{"role": "assistant", "content": "b"}])
