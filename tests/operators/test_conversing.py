"""Self-chats and traces of tool calls, from a scripted teacher."""

import asyncio
import json

import pytest

from limbeck.core.asking import Reply, ToolCall
from limbeck.core.errors import ConfigError
from limbeck.operators import conversation, tool_calls
from limbeck.operators.local_tools import load_function, schema_of
from tests.operators import tools
from tests.operators.scripted import Scripted, read_by, reasons, student_part

TOOLS = "tests.operators.tools:"


def run(operator, row, said, **options):
    teacher = Scripted(said)
    return asyncio.run(operator({"id": "r1", **row}, teacher, **options)), teacher


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict:
    return {"role": "assistant", "content": content}


def call(name: str, arguments: str, call_id: str = "c1") -> Reply:
    return Reply("", finish="tool_calls", tool_calls=(ToolCall(name, arguments, call_id),))


def test_both_sides_speak_until_the_user_has_no_more_to_ask() -> None:
    said = ["Ink is a fluid.", "Which colour?", "Mostly blue.", "Thanks! [END]"]
    row = {"prompt": "What is ink?", "persona": "a painter"}
    (made,), teacher = run(conversation, row, said, turns=5)
    turns = [
        user("What is ink?"),
        assistant("Ink is a fluid."),
        user("Which colour?"),
        assistant("Mostly blue."),
    ]
    assert student_part(made) == {"persona": "a painter", "messages": turns}
    assert "You are this person: a painter" in read_by(teacher.asked[1])
    assert "You: What is ink?\n\nAssistant: Ink is a fluid.\n\n" in read_by(teacher.asked[1])
    assert teacher.asked[2].messages == tuple(turns[:3])


def test_a_conversation_ends_after_its_turns_or_at_a_cut_answer() -> None:
    (row,), teacher = run(conversation, {"prompt": "p"}, ["a", "b", "c", "d"], turns=2)
    assert len(row["messages"]) == 4 and len(teacher.asked) == 3
    (row,), _ = run(conversation, {"prompt": "p"}, ["a", "b", Reply("c", finish="length")], turns=4)
    assert (len(row["messages"]), row["finished"]) == (4, False)


def test_answers_that_were_given_are_not_learnt_and_the_system_prompt_stays() -> None:
    system = {"role": "system", "content": "Be brief."}
    row = {"messages": [system, user("a"), assistant("b"), user("c")]}
    said = [Reply("d", reasoning="hm"), "e", "f"]
    (made,), teacher = run(conversation, row, said, turns=2, thoughts=True)
    assert made["messages"][:4] == [system, user("a"), {**assistant("b"), "train": False}, user("c")]
    assert made["messages"][4] == {**assistant("d"), "reasoning_content": "hm"}
    assert "Be brief." not in read_by(teacher.asked[1])


@pytest.mark.parametrize("said", [[""], ["a", ""], ["a", Reply("And th", finish="length")]])
def test_a_side_that_says_nothing_ends_it_without_a_row(said) -> None:
    rows, _ = run(conversation, {"prompt": "p"}, said)
    assert reasons(rows) in (["empty"], ["length"])


def test_a_trace_has_calls_results_and_the_answer() -> None:
    first = Reply(
        "Let me add.", finish="tool_calls", reasoning="sum", tool_calls=(ToolCall("add", '{"a": 2}'),)
    )
    row = {"question": "2+1?", "answer": "3"}
    (made,), teacher = run(tool_calls, row, [first, "It is 3."], functions=[TOOLS + "add"])
    call_turn = {
        "role": "assistant",
        "content": "Let me add.",
        "reasoning_content": "sum",
        "tool_calls": [
            {"id": "call_0_0", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
        ],
    }
    result = {"role": "tool", "tool_call_id": "call_0_0", "name": "add", "content": "3"}
    assert made["messages"] == [user("2+1?"), call_turn, result, assistant("It is 3.")]
    assert (made["tool_errors"], made["reference"]) == (0, "3")
    assert json.loads(made["tools"]) == [schema_of(tools.add)]
    assert teacher.asked[1].messages == tuple(made["messages"][:3])
    assert json.loads(made["asked"])["tools"] == [schema_of(tools.add)]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (call("subtract", "{}"), "there is no function subtract; there are add, fail, sleep"),
        (call("add", "{"), "the arguments are no JSON"),
        (call("add", "[1]"), "the arguments must be an object"),
        (call("add", '{"a": "two"}'), "a: Input should be a valid integer"),
        (call("add", '{"a": 1, "c": 1}'), "c: Unexpected keyword argument"),
        (call("fail", "{}"), "OSError: disk is gone"),
        (call("sleep", "{}"), "sleep took more than 0.1 s"),
    ],
)
def test_a_call_that_fails_is_told_to_the_teacher_and_counted(reply, error) -> None:
    functions = [TOOLS + name for name in ("add", "fail", "sleep")]
    (row,), teacher = run(tool_calls, {"prompt": "p"}, [reply, "Done."], functions=functions, seconds=0.1)
    assert json.loads(teacher.asked[1].messages[-1]["content"])["error"].startswith(error)
    assert row["tool_errors"] == 1 and reasons([row]) == [None]


def test_several_calls_of_one_answer_are_all_made() -> None:
    both = Reply(
        "",
        finish="tool_calls",
        tool_calls=(ToolCall("add", '{"a": 1}', "x"), ToolCall("city", '{"name": "Rome"}', "y")),
    )
    (row,), _ = run(tool_calls, {"prompt": "p"}, [both, "Done."], functions=[TOOLS + "add", TOOLS + "city"])
    assert [(turn["tool_call_id"], turn["content"]) for turn in row["messages"][2:4]] == [
        ("x", "2"),
        ("y", '{"name": "Rome", "unit": "km"}'),
    ]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([call("add", '{"a": 1}')] * 2, "rounds"),
        ([Reply("I wil", finish="length")], "length"),
        ([Reply("")], "empty"),
    ],
)
def test_traces_without_an_end_are_rejected(said, reason) -> None:
    rows, _ = run(tool_calls, {"prompt": "p"}, said, functions=[TOOLS + "add"], rounds=2)
    assert reasons(rows) == [reason]


def test_a_function_is_described_by_its_hints_and_docstring() -> None:
    found = schema_of(tools.add)["function"]
    assert (found["name"], found["description"]) == ("add", "Add two numbers.")
    assert found["parameters"]["properties"] == {
        "a": {"type": "integer", "description": "the one"},
        "b": {"type": "integer", "default": 1, "description": "the other"},
    }
    assert found["parameters"]["required"] == ["a"]
    assert schema_of(tools.city)["function"]["parameters"]["properties"]["unit"]["enum"] == ["km", "mi"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("add", "must be module:function"),
        ("no_such_module:add", "can be imported"),
        (TOOLS + "subtract", "must name a plain function"),
        (TOOLS + "later", "must name a plain function"),
    ],
)
def test_a_function_must_be_there(word, said) -> None:
    with pytest.raises(ConfigError, match=said):
        load_function(word)


def test_a_function_must_take_its_arguments_by_name() -> None:
    with pytest.raises(ConfigError, match="by_place must take its arguments by name"):
        schema_of(tools.by_place)
