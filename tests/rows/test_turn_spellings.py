"""Conversations in every spelling become one shape, and nothing that carries meaning gets lost."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limbeck.core.errors import RowError
from limbeck.rows.facts import facts_of
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.load import load_rows

USER = {"role": "user", "content": "hi"}
ANSWER = {"role": "assistant", "content": "yes"}
TURNS = [USER, ANSWER]


def plain(value):
    """Without the keys that are null."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if one is not None}
    return [plain(one) for one in value] if isinstance(value, list) else value


def loaded(write, *rows):
    return [plain(row) for row in load_rows(write(rows)).remove_columns("id").to_list()]


def calls(*named):
    functions = [{"name": name, "arguments": arguments} for name, arguments in named]
    return [{"type": "function", "function": function} for function in functions]


@pytest.mark.parametrize(
    "row",
    [
        {"conversations": TURNS},
        {"conversation": TURNS},
        {"messages": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]},
        {"messages": [{"role": "Human", "content": "hi"}, {"role": "gpt", "content": "yes"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "h"}, {"text": "i"}]}, ANSWER]},
        {"messages": json.dumps(TURNS)},
        {"messages": {"role": ["user", "assistant"], "content": ["hi", "yes"]}},
        {"messages": str(TURNS)},
        {"dialogue": [{"role": "user", "text": "hi"}, {"role": "bot", "text": "yes"}]},
        {
            "dialog": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "model", "parts": [{"text": "yes"}]},
            ]
        },
        {"turns": [{"human": "hi", "assistant": "yes"}]},
        {
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "model", "parts": [{"text": "yes"}]},
            ]
        },
        {"chat": TURNS},
        {"chat": json.dumps(TURNS)},
        {"prompt": str([USER]), "completion": "yes"},
        {"prompt": "hi", "completion": [ANSWER]},
        {"prompt": [USER], "completion": "yes"},
        {"prompt": json.dumps([USER]), "completion": [ANSWER]},
        {
            "messages": [
                {**USER, "name": None, "tool_calls": []},
                {**ANSWER, "refusal": None, "annotations": []},
            ]
        },
    ],
)
def test_every_spelling_becomes_turns_with_role_and_content(write, row):
    assert loaded(write, row) == [{"messages": TURNS}]


def test_a_system_column_is_the_first_turn(write):
    turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]
    rows = loaded(
        write, {"conversations": turns, "system": "Be brief."}, {"conversations": turns, "system": ""}
    )
    assert rows == [{"messages": [{"role": "system", "content": "Be brief."}, *TURNS]}, {"messages": TURNS}]


def test_two_system_prompts_of_a_row_are_refused(write):
    with pytest.raises(RowError, match="the system prompt must stand in one place"):
        load_rows(write([{"messages": [{"role": "system", "content": "a"}, *TURNS], "system": "b"}]))


def test_system_and_history_of_instructions_become_turns(write):
    row = {"instruction": "a", "input": "b", "output": "c", "system": "S", "history": [["q", "r"]]}
    bare = {"instruction": "a", "input": "", "output": "c", "system": None, "history": []}
    turns = [("system", "S"), ("user", "q"), ("assistant", "r"), ("user", "a\nb"), ("assistant", "c")]
    first, second = loaded(write, row, bare)
    assert [(turn["role"], turn["content"]) for turn in first["messages"]] == turns
    assert [turn["content"] for turn in second["messages"]] == ["a", "c"]


def test_empty_systems_leave_prompts_and_answers_as_they_are(write):
    row = {"instruction": "a", "output": "c", "system": "", "history": []}
    assert kind_of(load_rows(write([row])).column_names) is Kind.COMPLETION


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"instruction": "Who?", "context": "Bob is.", "response": "Bob"}, {"prompt": "Who?\nBob is."}),
        ({"question": "Who?", "context": "Bob is.", "answer": "Bob"}, {"question": "Who?\nBob is."}),
        (
            {"prompt": "Who?", "context": "Bob is.", "chosen": "Bob", "rejected": "Al"},
            {"prompt": "Who?\nBob is."},
        ),
    ],
)
def test_a_context_goes_below_its_question(write, row, prompt):
    assert loaded(write, row)[0].items() >= prompt.items()


@pytest.mark.parametrize(("key", "no", "yes"), [("weight", 0, 1), ("train", False, True), ("loss", 0.0, 1.0)])
def test_turns_that_are_not_to_be_learnt_are_marked(write, key, no, yes):
    turns = [USER, {**ANSWER, key: no}, USER, {**ANSWER, key: yes}]
    marks = [turn.get("train") for turn in loaded(write, {"messages": turns})[0]["messages"]]
    assert marks == [None, False, None, True]


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ({**ANSWER, "weight": 0.5}, "weight of a turn must be 0 or 1, got 0.5"),
        (
            {**ANSWER, "weight": 0},
            "an assistant turn that may be learnt, got train: false or weight: 0 in all",
        ),
        ({"role": "assistant", "content": [{"type": "image_url"}]}, "must be text, got image_url"),
        ({**ANSWER, "images": ["a.png"]}, "turns of messages must be text, got images"),
        ({"content": "x"}, "every turn of messages must have a role"),
        (
            {"role": "assistant", "content": None},
            "every turn of messages must have text as content, got None",
        ),
        ({"role": "assistant", "tool_calls": [{"x": 1}]}, "a tool call must have the name of a function"),
    ],
)
def test_turns_that_cannot_be_learnt_as_meant_are_named(write, turn, message):
    with pytest.raises(RowError, match=f"row rows.jsonl:1: .*{message}"):
        load_rows(write([{"messages": [USER, turn]}]))


def test_thoughts_are_kept_with_their_turns(write):
    for key in ("reasoning_content", "reasoning", "thinking"):
        row = loaded(write, {"messages": [USER, {**ANSWER, key: "hm"}]}, {"messages": TURNS})
        assert row[0]["messages"][1] == {**ANSWER, "reasoning_content": "hm"}
        assert row[1] == {"messages": TURNS}


def tool_rows():
    """Two tools with other arguments, a null of the user's, and one call as JSON text."""
    return [
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": name, "parameters": {"properties": {key: {"type": "string"}}}},
                }
            ],
            "messages": [USER, {"role": "assistant", "content": "", "tool_calls": calls((name, arguments))}],
        }
        for name, key, arguments in (
            ("weather", "city", {"city": "Oslo", "unit": None}),
            ("add", "a", {"a": 2, "b": [None, {"c": 1.5}]}),
            ("wire", "x", '{"x": "é"}'),
        )
    ]


def test_arguments_and_tools_hold_what_the_user_wrote_and_no_key_of_another_row(write):
    found = loaded(write, *tool_rows())
    arguments = [row["messages"][1]["tool_calls"][0]["function"]["arguments"] for row in found]
    assert arguments == ['{"city": "Oslo", "unit": null}', '{"a": 2, "b": [null, {"c": 1.5}]}', '{"x": "é"}']
    assert [json.loads(row["tools"]) for row in found] == [row["tools"] for row in tool_rows()]


def test_keys_that_arrow_added_to_structs_are_gone(tmp_path):
    rows = tool_rows()[:2]
    rows[1]["messages"][1]["tool_calls"] = calls(("add", {"a": 2}))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    found = load_rows(str(tmp_path / "t.parquet")).to_list()
    arguments = [row["messages"][1]["tool_calls"][0]["function"]["arguments"] for row in found]
    assert arguments == ['{"city": "Oslo"}', '{"a": 2}']
    assert "null" not in found[0]["tools"] + found[1]["tools"]
    assert json.loads(found[1]["tools"]) == rows[1]["tools"]


def test_called_functions_of_other_systems_become_tool_calls(write):
    sharegpt = [
        {"from": "human", "value": "hi"},
        {"from": "function_call", "value": '{"name": "f", "arguments": {"a": null}}'},
        {"from": "observation", "value": "1"},
        {"from": "gpt", "value": "yes"},
    ]
    legacy = [
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a": null}'}},
        {"role": "function", "content": {"x": 1}},
        ANSWER,
    ]
    for turns, result in ((sharegpt, "1"), (legacy, '{"x": 1}')):
        found = loaded(write, {"messages": turns, "functions": [{"name": "f"}]})[0]
        assert found["messages"][1] == {"role": "assistant", "tool_calls": calls(("f", '{"a": null}'))}
        assert found["messages"][2] == {"role": "tool", "content": result}
        assert found["tools"] == '[{"name": "f"}]'


def test_tools_that_are_no_json_are_named(write):
    with pytest.raises(RowError, match=r"row rows.jsonl:1: tools must be JSON .*, got 'f, g'"):
        load_rows(write([{"messages": TURNS, "tools": "f, g"}]))


def test_transcripts_of_human_and_assistant_become_turns(write):
    start = "\n\nHuman: hi\n\nAssistant: "
    chosen, rejected = ({**ANSWER, "content": words} for words in ("yes\n\nreally", "no"))
    expected = [{"chosen": [USER, chosen], "rejected": [USER, rejected]}]
    assert loaded(write, {"chosen": f"{start}yes\n\nreally", "rejected": f"{start}no"}) == expected
    found = loaded(write, {"prompt": start.rstrip(), "chosen": "yes", "rejected": "no"})[0]
    assert (found["messages"], found["chosen"]) == ([USER], [ANSWER])


@pytest.mark.parametrize(
    "row",
    [
        {"question": "hi", "system": "S", "chosen": "yes", "rejected": "no"},
        {
            "conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "hi"}],
            "chosen": {"from": "gpt", "value": "yes"},
            "rejected": {"from": "gpt", "value": "no"},
        },
    ],
)
def test_preferences_keep_their_system_prompt(write, row):
    found = loaded(write, row)[0]
    assert found["messages"] == [{"role": "system", "content": "S"}, USER]
    assert found["chosen"] == [ANSWER]


def test_answers_that_were_judged_bad_are_not_learnt(write):
    rows = [
        {"prompt": "p", "completion": "good", "label": True},
        {"prompt": "p", "completion": "x", "label": False},
    ]
    with pytest.raises(RowError, match=r"row rows.jsonl:2: label must be true .* bad_rows: drop"):
        load_rows(write(rows))
    assert load_rows(write(rows), bad_rows="drop")["completion"][:] == ["good"]


@pytest.mark.parametrize(
    ("row", "name", "message"),
    [
        (
            {"text": "t", "parent_id": "x", "role": "prompter"},
            "parent_id",
            r"messages of trees.*follow parent_id",
        ),
        ({"text": "t", "system": "S"}, "system", r"column system must be read, got rows of text"),
        (
            {"prompt": "p", "completion": "c", "thinking": "r"},
            "thinking",
            r"turn of `messages` as `reasoning_cont",
        ),
        ({"prompt": "p", "completion": "c", "weight": 0.5}, "weight", r"Every row counts alike"),
        ({"messages": TURNS, "history": [["a", "b"]]}, "history", r"Write the earlier turns into `messages`"),
        ({"messages": TURNS, "context": "c"}, "context", r"column context must be read"),
        ({"question": "q", "answer": "a", "context": ["c", "d"]}, "context", r"column context must be read"),
    ],
)
def test_a_column_that_carries_meaning_is_read_or_refused(write, row, name, message):
    with pytest.raises(RowError, match=rf"{message}.*ignore: \[{name}\]"):
        load_rows(write([row]))
    assert name not in load_rows(write([row]), ignore=[name]).column_names


def test_other_columns_that_nothing_reads_are_listed(write):
    rows = load_rows(write([{"prompt": "p", "completion": "c", "stamp": 1, "domain": "d", "weight": 1.0}]))
    assert facts_of(rows).unread == ["stamp", "weight"]


def test_shards_with_and_without_system_prompts_are_one_kind(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"prompt": "hi", "completion": "yes"}))
    (tmp_path / "b.jsonl").write_text(json.dumps({"prompt": "hi", "completion": "yes", "system": "S"}))
    found = [plain(row["messages"]) for row in load_rows(str(tmp_path)).to_list()]
    assert found == [TURNS, [{"role": "system", "content": "S"}, *TURNS]]


@pytest.mark.parametrize(
    ("key", "value"),
    [("trainable", False), ("learn", 0), ("loss_weight", 0.0), ("train_on_turn", "false"), ("weight", "0")],
)
def test_a_turn_may_say_in_other_words_that_it_is_not_learnt(write, key, value):
    row = loaded(write, {"messages": [USER, {**ANSWER, key: value}, USER, ANSWER]})[0]
    assert [turn.get("train") for turn in row["messages"]] == [None, False, None, None]


@pytest.mark.parametrize(
    ("key", "value"),
    [("mask", True), ("is_masked", 1), ("loss_mask", 0), ("train_detail", [{"train": False}])],
)
def test_words_on_learning_that_may_mean_both_are_refused(write, key, value):
    with pytest.raises(RowError, match=rf"train: true or false, got {key}: "):
        loaded(write, {"messages": [USER, {**ANSWER, key: value}]})


@pytest.mark.parametrize("key", ["thought", "thoughts", "cot", "chain_of_thought", "reasoning_text"])
def test_thoughts_of_other_names_stay_with_their_turn(write, key):
    row = loaded(write, {"messages": [USER, {**ANSWER, key: "hm"}]})[0]
    assert row["messages"][1] == {**ANSWER, "reasoning_content": "hm"}


@pytest.mark.parametrize("key", ["arguments", "parameters", "args", "input", "kwargs"])
def test_arguments_of_a_call_are_kept_whatever_they_are_called(write, key):
    called = {"role": "assistant", "tool_calls": [{"name": "f", key: {"city": "Bern"}}]}
    row = loaded(write, {"messages": [USER, called]})[0]
    assert row["messages"][1]["tool_calls"] == calls(("f", '{"city": "Bern"}'))


def test_a_call_that_says_something_else_is_refused(write):
    called = {"role": "assistant", "tool_calls": [{"name": "f", "body": {"city": "Bern"}}]}
    with pytest.raises(RowError, match=r"a name and arguments, got also body"):
        loaded(write, {"messages": [USER, called]})


@pytest.mark.parametrize(
    ("key", "value"),
    [("system_message", "be kind"), ("sys_prompt", "be kind"), ("system_instruction", "be kind")],
)
def test_a_system_prompt_is_the_first_turn_under_any_usual_name(write, key, value):
    row = loaded(write, {"prompt": "hi", "completion": "yes", key: value})[0]
    assert row["messages"] == [{"role": "system", "content": value}, *TURNS]


@pytest.mark.parametrize(
    ("key", "value", "finished"),
    [
        ("finish_reason", "length", False),
        ("finish_reason", "stop", True),
        ("stop_reason", "max_tokens", False),
        ("finish_reasons", ["length"], False),
        ("is_finished", False, False),
        ("truncated", True, False),
        ("is_truncated", 0, True),
    ],
)
def test_the_reason_to_stop_says_whether_an_answer_came_to_its_end(write, key, value, finished):
    row = {"prompt": "hi", "completion": "yes"}
    assert loaded(write, {**row, key: value}) == [{**row, "finished": finished}]


@pytest.mark.parametrize("key", ["kto_tag", "is_correct", "accepted", "verified"])
def test_answers_that_were_judged_bad_are_refused_under_any_usual_name(write, key):
    with pytest.raises(RowError, match=r"must be true for an answer to be learnt from, got False"):
        loaded(write, {"prompt": "hi", "completion": "yes", key: False})


@pytest.mark.parametrize("key", ["passage", "cot", "sample_weight", "persona", "documents"])
def test_meaning_under_other_names_is_not_dropped_without_a_word(write, key):
    with pytest.raises(RowError, match=rf"column {key} must be read"):
        loaded(write, {"prompt": "hi", "completion": "yes", key: 0.5 if "weight" in key else "said"})


def test_capitals_and_blanks_in_names_of_columns_do_not_matter(write):
    assert loaded(write, {"Question ": "hi", "Answer": "yes"}) == [{"question": "hi", "answer": "yes"}]
    kept = loaded(write, {"text": "hi", "Text": "other"})
    assert kept == [{"text": "hi", "Text": "other"}]


def test_options_of_a_question_are_its_choices(write):
    options = {"a": "red", "b": "blue"}
    row = loaded(write, {"question": "hi", "answer": "a", "options": options})[0]
    assert row["choices"] == ["red", "blue"]


def test_a_thought_without_an_answer_is_something_to_learn_from(write):
    turn = {"role": "assistant", "content": "", "reasoning_content": "hm"}
    assert loaded(write, {"messages": [USER, turn], "finished": False})[0]["messages"][1] == turn


TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


@pytest.mark.parametrize(
    "tools",
    [[TOOL], TOOL, json.dumps([TOOL]), json.dumps(json.dumps([TOOL])), [json.dumps(TOOL)], str([TOOL])],
)
def test_tools_are_schemas_however_they_are_written(write, tools):
    row = loaded(write, {"messages": TURNS, "tools": tools})[0]
    assert json.loads(row["tools"]) == [TOOL]


def test_names_of_tools_are_no_schemas(write):
    with pytest.raises(RowError, match=r"a schema of tools must be JSON where it is a text, got 'search'"):
        loaded(write, {"messages": TURNS, "tools": ["search"]})


def test_parts_of_anthropic_become_thoughts_calls_and_turns_of_tools(write):
    asked = [
        {"type": "thinking", "thinking": "Look it up.", "signature": "s"},
        {"type": "text", "text": "One moment."},
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Ulm"}},
    ]
    given = [
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "rain"}]},
        {"type": "text", "text": "And tomorrow?"},
    ]
    rows = [
        {
            "messages": [
                USER,
                {"role": "assistant", "content": asked},
                {"role": "user", "content": given},
                ANSWER,
            ]
        }
    ]
    (row,) = loaded(write, *rows)
    call = {"id": "t1", **calls(("weather", '{"city": "Ulm"}'))[0]}
    assert row["messages"] == [
        USER,
        {
            "role": "assistant",
            "content": "One moment.",
            "reasoning_content": "Look it up.",
            "tool_calls": [call],
        },
        {"role": "tool", "content": "rain", "tool_call_id": "t1"},
        {"role": "user", "content": "And tomorrow?"},
        ANSWER,
    ]


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "tool_use", "id": "t", "name": "f", "input": {}}, {"type": "text", "text": "after"}],
        [{"type": "text", "text": "before"}, {"type": "thinking", "thinking": "late"}],
    ],
)
def test_parts_in_an_order_that_templates_cannot_write_are_refused(write, parts):
    with pytest.raises(RowError, match="parts of a turn must come as tool_result, thinking, text, tool_use"):
        load_rows(write([{"messages": [USER, {"role": "assistant", "content": parts}]}]))
