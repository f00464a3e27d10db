"""Conversations as chat templates of public families write them: what is read, and ⟦what is learnt⟧."""

import json

import pytest
from datasets import Dataset

from limbeck.core import limited
from limbeck.core.errors import ModelError, RowError
from limbeck.rows.render import Rendering, notes_of, render, render_prompts
from tests.rows import templates as families
from tests.rows.templates import (
    GEMMA,
    LLAMA3,
    LLAMA31,
    MISTRAL,
    NEMO,
    PHI3,
    QWEN3,
    QWEN3_OPENS,
    QWEN25,
    R1,
    ZEPHYR,
    assistant,
    call,
    refusal,
    rendered,
    shown,
    system,
    tokenizer_with,
    user,
)  # fmt: skip

TWO = (user("hi"), assistant("yes"), user("and?"), assistant("no"))
TOOLS = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "d",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
    ]
)
ASKED = assistant("", tool_calls=[call("weather", '{"city": "Oslo"}')])
TRAJECTORY = (user("w?"), ASKED, {"role": "tool", "content": "7"}, assistant("7 degrees"))
LISTED = '# Tools\n{"type": "function", "function": {"name": "weather", "description": "d", '
LISTED += '"parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}'
CALLED = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'


def with_think(text=""):
    return f"<think>\n{text}\n</think>\n\n"


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (LLAMA3, "<s><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|><|start_header_id|>assistant"
         "<|end_header_id|>\n\n⟦yes<|eot_id|>⟧<|start_header_id|>user<|end_header_id|>\n\nand?<|eot_id|>"
         "<|start_header_id|>assistant<|end_header_id|>\n\n⟦no<|eot_id|>⟧"),
        (GEMMA, "<s><start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n⟦yes<end_of_turn>⟧\n"
         "<start_of_turn>user\nand?<end_of_turn>\n<start_of_turn>model\n⟦no<end_of_turn>⟧\n"),
        (PHI3, "<|user|>\nhi<|end|>\n<|assistant|>\n⟦yes<|end|>⟧\n<|user|>\nand?<|end|>\n<|assistant|>\n"
         "⟦no<|end|>⟧\n</s>"),
        (MISTRAL, "<s>[INST] hi[/INST]⟦ yes</s>⟧[INST] and?[/INST]⟦ no</s>⟧"),
        (ZEPHYR, "<|user|>\nhi</s>\n<|assistant|>\n⟦yes</s>⟧\n<|user|>\nand?</s>\n<|assistant|>\n⟦no</s>⟧\n"),
        (R1, "<s><|User|>hi<|Assistant|>⟦yes</s>⟧<|User|>and?<|Assistant|>⟦no</s>⟧"),
    ],
    ids=["llama3", "gemma", "phi3", "mistral", "zephyr", "r1"],
)  # fmt: skip
def test_answers_and_the_marks_that_end_them_are_learnt(family, expected):
    assert rendered(family, *TWO) == [expected]


@pytest.mark.parametrize(("space", "begins"), [("''", ""), ("' '", " ")], ids=["nemo", "v0.3"])
def test_a_system_prompt_that_moves_to_the_last_turn_is_read_before_every_answer(space, begins):
    # Prompt: "<s>[INST]Be brief.\n\nhi[/INST]"; the template leaves "Be brief." out once it is answered.
    family = NEMO.replace("SPACE", space)
    assert rendered(family, system("Be brief."), user("hi"), assistant("yes")) == [
        f"<s>[INST]Be brief.\n\nhi[/INST]⟦{begins}yes</s>⟧"
    ]
    assert rendered(family, system("Be brief."), *TWO) == [
        f"<s>[INST]Be brief.\n\nhi[/INST]⟦{begins}yes</s>⟧",
        f"<s>[INST]hi[/INST]{begins}yes</s>[INST]Be brief.\n\nand?[/INST]⟦{begins}no</s>⟧",
    ]
    assert rendered(family, *TWO) == [f"<s>[INST]hi[/INST]⟦{begins}yes</s>⟧[INST]and?[/INST]⟦{begins}no</s>⟧"]


@pytest.mark.parametrize(
    "family", ["QWEN25", "LLAMA3", "LLAMA31", "GEMMA", "PHI3", "MISTRAL", "ZEPHYR", "R1"]
)
def test_a_conversation_that_is_not_rewritten_has_the_ids_that_transformers_gives_it(family):
    tokenizer = tokenizer_with(getattr(families, family))
    (row,) = render(
        Dataset.from_list([{"messages": list(TWO), "id": "r"}]), tokenizer, Rendering("causal", 512)
    )
    assert row["input_ids"] == tokenizer.apply_chat_template(list(TWO), return_dict=False)


def test_a_template_that_rewrites_earlier_turns_gives_one_example_an_answer_as_the_model_sees_it():
    first, last = rendered(QWEN3, *TWO)
    assert (
        first
        == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n⟦" + with_think() + "yes<|im_end|>⟧\n"
    )
    assert last == (
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n<|im_start|>user\nand?<|im_end|>\n"
        "<|im_start|>assistant\n⟦" + with_think() + "no<|im_end|>⟧\n"
    )
    assert rendered(QWEN3, *TWO, loss_on="last_assistant") == [last]


def test_the_examples_of_a_conversation_are_named_after_its_row_and_said():
    tokenizer = tokenizer_with(QWEN3)
    rows = Dataset.from_list([{"messages": list(TWO), "id": "r0"}, {"messages": list(TWO[:2]), "id": "r1"}])
    found = render(rows, tokenizer, Rendering("causal", 512))
    # The whole conversation has the row's own id, as its prompt has in `render_prompts`.
    assert found["row_id"][:] == ["r0#turn2", "r0", "r1"]
    assert notes_of(found) == [
        "conversations with one example per answer, because the chat template rewrites earlier turns: 1."
    ]
    prompts = render_prompts(rows, tokenizer, Rendering("causal", 512))
    whole = found[1]
    assert prompts[0]["input_ids"] == whole["input_ids"][: whole["is_target"].index(True)]


def test_answers_behind_max_length_are_left_out_and_the_conversation_stays():
    tokenizer, turns = (
        tokenizer_with(QWEN3),
        [user("hi"), assistant("yes"), user("and? " * 20), assistant("no")],
    )
    rows = Dataset.from_list([{"messages": turns, "id": "r0"}])
    found = render(rows, tokenizer, Rendering("causal", 64))
    assert found["row_id"][:] == ["r0#turn2"]
    assert notes_of(found)[-1] == (
        "later answers of such conversations left out, because max_length ends before them: 1."
    )
    with pytest.raises(RowError, match="1 row whose prompt does not: row r0#turn2"):
        render(rows, tokenizer, Rendering("causal", 8))


def test_earlier_answers_that_stand_in_the_last_view_unchanged_share_it():
    # Qwen3 keeps thoughts behind the last question: both steps of one answer are in one example.
    step = assistant("", reasoning_content="ask", tool_calls=[call("weather", '{"city": "Oslo"}')])
    found = rendered(
        QWEN3,
        user("w?"),
        step,
        TRAJECTORY[2],
        assistant("7", reasoning_content="got it"),
        row={"tools": TOOLS},
    )
    assert len(found) == 1
    assert f"⟦{with_think('ask')}{CALLED}<|im_end|>⟧" in found[0]
    assert found[0].endswith(f"⟦{with_think('got it')}7<|im_end|>⟧\n")


def test_calls_of_tools_are_learnt_from_wire_arguments():
    (text,) = rendered(QWEN25, *TRAJECTORY, row={"tools": TOOLS})
    assert text == (
        f"<|im_start|>system\n{LISTED}<|im_end|>\n<|im_start|>user\nw?<|im_end|>\n<|im_start|>assistant\n"
        f"⟦{CALLED}<|im_end|>⟧\n<|im_start|>user\n<tool_response>\n7\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n⟦7 degrees<|im_end|>⟧\n"
    )


def test_a_trajectory_on_a_rewriting_template_learns_the_call_and_the_answer():
    first, last = rendered(QWEN3, *TRAJECTORY, row={"tools": TOOLS})
    assert first.endswith(f"<|im_start|>assistant\n⟦{with_think()}{CALLED}<|im_end|>⟧\n")
    assert f"<|im_start|>assistant\n{CALLED}<|im_end|>\n" in last
    assert last.endswith(f"⟦{with_think()}7 degrees<|im_end|>⟧\n")


def test_arguments_keep_a_null_of_the_user_and_lose_those_that_arrow_put_in():
    asked = {"role": "assistant", "tool_calls": [call("weather", '{"city": null}')]}
    (text,) = rendered(QWEN25, user("w?"), asked)
    assert '"arguments": {"city": null}' in text
    asked = {"role": "assistant", "tool_calls": [call("weather", {"city": "Oslo", "a": None})]}
    (text,) = rendered(QWEN25, user("w?"), asked)
    assert '"arguments": {"city": "Oslo"}' in text


@pytest.mark.parametrize("loss_on", ["all_assistant", "last_assistant"])
@pytest.mark.parametrize(
    "turn",
    [assistant(f"{with_think('mmm')}yes"), assistant("mmm\n</think>\n\nyes"),
     assistant("yes", reasoning_content="mmm")],
    ids=["in content", "opened by the prompt", "in its own field"],
)  # fmt: skip
def test_a_thought_that_the_template_drops_is_learnt_as_the_model_writes_it(turn, loss_on):
    expected = "<s><|User|>hi<|Assistant|><think>\n⟦mmm\n</think>\n\nyes</s>⟧"
    assert rendered(R1, user("hi"), turn, loss_on=loss_on) == [expected]
    (whole,) = rendered(R1, user("hi"), turn, loss_on="all")
    assert whole == f"⟦{expected.replace('⟦', '')}"


def test_thoughts_of_earlier_turns_are_dropped_where_the_model_does_not_see_them():
    thoughts = (assistant("yes", reasoning_content="one"), assistant("no", reasoning_content="two"))
    first, last = rendered(R1, user("hi"), thoughts[0], user("and?"), thoughts[1])
    assert first == "<s><|User|>hi<|Assistant|><think>\n⟦one\n</think>\n\nyes</s>⟧"
    assert (
        last == "<s><|User|>hi<|Assistant|>yes</s><|User|>and?<|Assistant|><think>\n⟦two\n</think>\n\nno</s>⟧"
    )


def test_an_answer_that_was_cut_begins_as_the_template_writes_it():
    channels = (
        "{% for m in messages %}{{ '<|' + m.role + '|>' }}{% if m.role == 'assistant' %}"
        "{{ '[INST]final[/INST]' }}{% endif %}{{ m.content + '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    )
    cut = {"finished": False}
    for said in ("2 and", "d", "<think>\n2 and"):
        shown = f"<|user|>hi<|end|><|assistant|>⟦[INST]final[/INST]{said}⟧"
        assert rendered(channels, user("hi"), assistant(said), row=cut) == [shown]
    assert rendered(MISTRAL, user("hi"), assistant("2 and"), row=cut) == ["<s>[INST] hi[/INST]⟦ 2 and⟧"]
    no_thought = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n⟦<think>\n\n</think>\n\n2 and⟧"
    assert rendered(QWEN3, user("hi"), assistant("2 and"), row=cut) == [no_thought]


@pytest.mark.parametrize(
    ("family", "turn", "expected"),
    [
        (QWEN25, assistant("2 and"), "⟦2 and⟧"),
        (LLAMA3, assistant("2 and"), "⟦2 and⟧"),
        (QWEN3, assistant("<think>\n2 and"), "⟦<think>\n2 and⟧"),
        (QWEN3, assistant("", reasoning_content="2 and"), "⟦<think>\n2 and⟧"),
        (QWEN3, assistant(f"{with_think('mmm')}2 and"), f"⟦{with_think('mmm')}2 and⟧"),
        (QWEN3_OPENS, assistant("2 and"), "<think>\n⟦2 and⟧"),
        (QWEN3_OPENS, assistant("<think>\n2 and"), "<think>\n⟦2 and⟧"),
        (QWEN3_OPENS, assistant("", reasoning_content="2 and"), "<think>\n⟦2 and⟧"),
        (QWEN3_OPENS, assistant("mmm\n</think>\n\n2 and"), "<think>\n⟦mmm\n</think>\n\n2 and⟧"),
        (R1, assistant("2 and"), "<think>\n⟦2 and⟧"),
    ],
)
def test_an_answer_that_was_cut_has_no_end_and_its_thought_stays_open(family, turn, expected):
    before = rendered(family, user("hi"), assistant("yes"))[0].partition("yes")[0].rpartition("⟦")[0]
    before = before.removesuffix("<think>\n")
    assert rendered(family, user("hi"), turn, row={"finished": False}) == [before + expected]


def test_an_unfinished_answer_has_no_end_without_a_template_either():
    (text,) = rendered(tokenizer_with(None), *TWO[:3], assistant("n"), row={"finished": False})
    assert text == "User:\nhi\n\nAssistant:\n⟦yes</s>⟧\n\nUser:\nand?\n\nAssistant:\n⟦n⟧"


@pytest.mark.parametrize("content", ["You", "a", "system", "Hello there"])
def test_a_conversation_that_begins_with_the_assistant_learns_its_words_alone(content):
    (text,) = rendered(QWEN25, assistant(content), *TWO[:2])
    assert text == (
        f"<|im_start|>system\nYou are Qwen.<|im_end|>\n<|im_start|>assistant\n⟦{content}<|im_end|>⟧\n"
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n⟦yes<|im_end|>⟧\n"
    )


@pytest.mark.parametrize("family", [None, QWEN25, LLAMA3, MISTRAL], ids=["plain", "qwen", "llama", "mistral"])
def test_an_empty_answer_teaches_nothing(family):
    (text,) = rendered(tokenizer_with(family), *TWO[:3], assistant(""))
    assert text.count("⟦") == 1 and "yes" in text[text.index("⟦") : text.index("⟧")]
    said = refusal(tokenizer_with(family), *TWO[:3], assistant(""), loss_on="last_assistant")
    assert said == (
        "row r0: the last assistant turn must have something to learn, got none with a text. "
        "Set loss_on: all_assistant, or take these rows out."
    )


@pytest.mark.parametrize("family", [None, QWEN25, QWEN3, PHI3], ids=["plain", "qwen", "qwen3", "phi3"])
def test_a_turn_that_is_not_to_be_trained_on_is_read_and_not_learnt(family):
    wrong = assistant("WRONG", train=False)
    found = rendered(tokenizer_with(family), user("hi"), wrong, user("again"), assistant("yes", train=True))
    assert len(found) == 1 and "WRONG" in found[0].partition("⟦")[0]
    assert "yes" in found[0].partition("⟦")[2]
    turns = (user("hi"), wrong, user("again"), assistant("yes"))
    if family == QWEN3:  # it gives a last answer an empty thought
        assert "Set loss_on: all_assistant" in refusal(family, *turns, loss_on="all")
    else:
        (text,) = rendered(tokenizer_with(family), *turns, loss_on="all")
        assert "WRONG" in text.partition("⟧")[2].partition("⟦")[0]
    said = refusal(tokenizer_with(family), user("hi"), wrong)
    assert "must have something to learn, got only such with `train: false`. Take these rows out." in said


@pytest.mark.parametrize("family", [QWEN25, LLAMA3, LLAMA31, GEMMA, PHI3, MISTRAL, ZEPHYR])
def test_a_thought_that_no_template_writes_is_refused_and_the_advice_helps(family):
    said = refusal(family, user("hi"), assistant("4", reasoning_content="2 and 2"))
    assert said.startswith(
        "row r0: reasoning_content must appear in the rendered text, got a chat template that"
    )
    assert "Write it into `content`, as <think>...</think> before the answer" in said
    (text,) = rendered(family, user("hi"), assistant(f"{with_think('2 and 2')}4"))
    assert "2 and 2" in text.partition("⟦")[2]


@pytest.mark.parametrize("family", [LLAMA3, PHI3, ZEPHYR, R1])
def test_tools_that_no_template_writes_are_refused(family):
    assert "tools must appear in the rendered text" in refusal(family, *TWO, row={"tools": TOOLS})
    assert refusal(family, user("w?"), ASKED).startswith(
        "row r0: a tool call must appear in the rendered text"
    )


@pytest.mark.parametrize("loss_on", ["all_assistant", "last_assistant", "all"])
def test_a_short_word_that_the_template_drops_is_missed_though_it_stands_elsewhere(loss_on):
    # `7` is in the answer, and the turn of the tool is not.
    said = refusal(
        ZEPHYR, user("w?"), assistant("a"), {"role": "tool", "content": "7"}, assistant("7"), loss_on=loss_on
    )
    assert said.startswith("row r0: content must appear in the rendered text")
    dropped = LLAMA31.replace("{{ s + '<|eot_id|>' }}", "{{ '<|eot_id|>' }}")
    assert "content must appear" in refusal(dropped, system("e"), *TWO, loss_on=loss_on)


def test_words_beside_a_call_that_the_template_drops_are_refused():
    asked = assistant("Let me look.", tool_calls=ASKED["tool_calls"])
    assert "content must appear in the rendered text" in refusal(LLAMA31, user("w?"), asked)
    (text,) = rendered(LLAMA31, *TRAJECTORY, row={"tools": TOOLS})
    assert '⟦{"name": "weather", "parameters": {"city": "Oslo"}}<|eot_id|>⟧' in text


def test_rows_that_fail_for_one_reason_are_one_line_with_advice_that_can_help():
    rows = [{"messages": [system("s"), *TWO], "id": f"r{number}"} for number in range(12)]
    with pytest.raises(RowError) as error:
        render(Dataset.from_list(rows), tokenizer_with(GEMMA), Rendering("causal", 512))
    assert str(error.value) == (
        "12 rows (r0, r1, r2 and 9 more): the chat template must accept the conversation, got its error: "
        "System role not supported. Change these conversations so that it accepts them, take them out, "
        "or put another chat template into the model's folder (chat_template.jinja)."
    )


def test_tools_that_are_no_json_are_said_to_be_so():
    said = refusal(QWEN25, *TWO, row={"tools": "weather(city)"})
    assert "tools must be a JSON list of functions, got 'weather(city)', which is no JSON" in said
    assert "loss_on" not in said and "max_length" not in said


def test_without_a_template_thoughts_calls_and_tools_are_written():
    (text,) = rendered(tokenizer_with(None), *TRAJECTORY, row={"tools": TOOLS})
    assert text == (
        f"Tools:\n{TOOLS}\n\nUser:\nw?\n\nAssistant:\n⟦{CALLED}</s>⟧\n\n"
        "Tool:\n7\n\nAssistant:\n⟦7 degrees</s>⟧"
    )
    (text,) = rendered(tokenizer_with(None), user("hi"), assistant("yes", reasoning_content="mmm"))
    assert text == f"User:\nhi\n\nAssistant:\n⟦{with_think('mmm')}yes</s>⟧"


def test_a_template_that_does_not_end_is_stopped(monkeypatch):
    monkeypatch.setattr(limited, "MOST_SECONDS", 0.05)
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% set x = b %}{% endfor %}{% endfor %}"
    with pytest.raises(ModelError, match="the chat template must end, got one that needed more than"):
        rendered(endless, *TWO)


@pytest.mark.parametrize("written", ["{{ 'x' * 10000000000 }}", "{{ 'x' * 2000000 }}"])
def test_a_template_that_writes_without_bounds_is_stopped(written):
    with pytest.raises(ModelError, match=r"the chat template must end, got one that (needed|wrote)"):
        rendered(written, *TWO)


def test_shown_marks_what_is_learnt():
    tokenizer = tokenizer_with(None)
    assert shown(
        {"input_ids": tokenizer("ab</s>")["input_ids"], "is_target": [False, True, True]}, tokenizer
    ) == ("a⟦b</s>⟧")


@pytest.mark.parametrize("end", ["<|im_end|>", "<|im_end|>\n", "<|im_end|><|im_end|>"])
def test_an_end_that_an_answer_already_has_is_not_doubled(end):
    turns = [user("hi"), assistant("yes"), user("and?"), assistant("no")]
    ended = [
        {**turn, "content": turn["content"] + end} if turn["role"] == "assistant" else turn for turn in turns
    ]
    tokenizer = tokenizer_with(QWEN25, eos="<|im_end|>")
    rows = [{"messages": one, "id": "r0"} for one in (turns, ended)]
    once, again = (render(Dataset.from_list([row]), tokenizer, Rendering("causal", 512))[0] for row in rows)
    assert again == once
    kept = {"messages": ended, "id": "r0", "special_tokens": "text"}
    as_text = render(Dataset.from_list([kept]), tokenizer, Rendering("causal", 512))[0]
    assert len(as_text["input_ids"]) > len(once["input_ids"])
