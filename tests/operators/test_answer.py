"""Answers of a scripted teacher, and the rows they make."""

import asyncio
import json

import pytest

from limbeck.core.asking import Failure, FailureClass, Paused, Reply, RequestFailed, ToolCall
from limbeck.core.errors import ConfigError
from limbeck.operators import answer
from tests.operators.scripted import Scripted, reasons, student_part

FAILED = RequestFailed(Failure(FailureClass.PERMANENT, "context_length", "too long", key="k9"))


def run(row, teacher, **options):
    return asyncio.run(answer({"id": "r1", **row}, teacher, **options))


def test_makes_a_row_for_every_sample() -> None:
    teacher = Scripted(["4", Reply("It is fo", finish="length")])
    rows = run({"question": "2+2?", "answer": "four", "source": "maths"}, teacher, samples=2)
    learnt = {"question": "2+2?", "reference": "four", "source": "maths"}
    assert [student_part(row) for row in rows] == [
        {**learnt, "answer": "4"},
        {**learnt, "answer": "It is fo"},
    ]
    assert [(row["id"], row["parents"], row["sample"], row["finished"]) for row in rows] == [
        ("r1~0", ["r1"], 0, True),
        ("r1~1", ["r1"], 1, False),
    ]
    assert [request.sample for request in teacher.asked] == [0, 1]
    assert json.loads(rows[0]["asked"]) == {"messages": [{"role": "user", "content": "2+2?"}]}
    assert (rows[0]["tokens_in"], rows[0]["tokens_out"], rows[0]["cost"]) == (10, 2, "0.001")


def test_thoughts_are_learnt_where_that_is_asked_for() -> None:
    said = [Reply("4", reasoning="two twos"), "4"]
    rows = run({"prompt": "2+2?"}, Scripted(said), samples=2, thoughts=True)
    answer = {"role": "assistant", "content": "4", "reasoning_content": "two twos"}
    assert student_part(rows[0]) == {"messages": [{"role": "user", "content": "2+2?"}, answer]}
    assert reasons(rows) == [None, "no_thoughts"]
    (row,) = run({"prompt": "2+2?"}, Scripted(said))
    assert (row["completion"], row["reasoning"]) == ("4", "two twos")


def test_more_samples_ask_for_the_rest_alone() -> None:
    teacher = Scripted(["a", "b", "c"])
    run({"prompt": "p"}, teacher, samples=1)
    rows = run({"prompt": "p"}, teacher, samples=3)
    assert [row["completion"] for row in rows] == ["a", "b", "c"] and len(teacher.asked) == 3


def test_a_failed_sample_is_rejected_and_the_others_stay() -> None:
    rows = run({"prompt": "p"}, Scripted(["a", FAILED, ""]), samples=3)
    assert reasons(rows) == [None, "context_length", "empty"]
    assert [row.get("completion") for row in rows] == ["a", None, None]


def test_fails_where_every_request_failed() -> None:
    with pytest.raises(RequestFailed, match="too long"):
        run({"prompt": "p"}, Scripted([FAILED, FAILED]), samples=2)


def test_a_pause_is_not_a_failure_of_the_row() -> None:
    with pytest.raises(Paused):
        run({"prompt": "p"}, Scripted(["a", Paused("budget", "spent"), FAILED]), samples=3)


def test_an_answer_that_reads_like_an_error_is_an_answer() -> None:
    assert run({"prompt": "p"}, Scripted(["ERROR"]))[0]["completion"] == "ERROR"


def test_refuses_several_samples_that_would_be_equal() -> None:
    with pytest.raises(ConfigError, match="samples: must be 1 at sampling_temperature 0, got 2"):
        run({"prompt": "p"}, Scripted([]), samples=2, sampling_temperature=0.0)


TOOLS = '[{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]'


def test_a_call_of_a_tool_that_the_row_offers_is_learnt() -> None:
    call = ToolCall("add", '{"a": 2}', "c1")
    teacher = Scripted([Reply("", finish="tool_calls", tool_calls=(call,), reasoning="sum"), "Hello"])
    row = {"messages": [{"role": "user", "content": "2+2?"}], "tools": TOOLS}
    first, second = run(row, teacher, samples=2)
    assert teacher.asked[0].tools[0]["function"]["name"] == "add"
    turn = first["messages"][-1]
    assert turn["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 2}'}
    assert (turn["reasoning_content"], first["tools"], first["reasoning"]) == (None, TOOLS, "sum")
    assert second["messages"][-1] == {"role": "assistant", "content": "Hello"} and second["tools"] == TOOLS
    thinking = Scripted([Reply("", finish="tool_calls", tool_calls=(call,), reasoning="sum")])
    (with_thought,) = run(row, thinking, thoughts=True)
    assert with_thought["messages"][-1]["reasoning_content"] == "sum"
    assert with_thought["messages"][-1]["tool_calls"]


def test_a_call_that_nobody_offered_is_no_answer() -> None:
    reply = Reply("", finish="tool_calls", tool_calls=(ToolCall("add", "{}"),))
    assert reasons(run({"prompt": "p"}, Scripted([reply]))) == ["empty"]
