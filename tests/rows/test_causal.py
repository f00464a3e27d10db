"""Causal rows: ids and masks written out by hand, one token a letter (`a` is 7, `b` is 8)."""

import pytest
from datasets import Dataset

from limbeck.core.errors import ModelError, RowError
from limbeck.rows.load import load_rows
from limbeck.rows.render import Rendering, notes_of, render, render_prompts
from tests.rows.letters import TEMPLATE, ids_of, letter_tokenizer

END = 2
CHAT_END, USER, ASSISTANT = 3, 4, 5
CAUSAL = Rendering("causal", max_length=64)


def rows_of(*rows):
    return Dataset.from_list([{**row, "id": f"r{i}"} for i, row in enumerate(rows)])


def turns(*contents):
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]}


def flags(text):
    """`..xx` -> [False, False, True, True]."""
    return [letter == "x" for letter in text]


def loss_mask(row):
    return [token for token, is_target in zip(row["input_ids"], row["is_target"], strict=True) if is_target]


def test_text_is_learnt_whole_with_its_end(letters):
    row = render(rows_of({"text": "abc"}), letters, CAUSAL)[0]
    assert row == {"row_id": "r0", "input_ids": [7, 8, 9, END], "is_target": flags("xxxx")}


def test_the_begin_token_is_read_and_not_learnt(letters_with_begin):
    row = render(rows_of({"text": "abc"}), letters_with_begin, CAUSAL)[0]
    assert row["input_ids"] == [1, 7, 8, 9, END]
    assert row["is_target"] == flags(".xxxx")


def test_windows_overlap_by_the_one_token_they_continue_from(letters):
    rendered = render(rows_of({"text": "abcdefg"}), letters, Rendering("causal", max_length=4))
    # abcdefg and its end are 8 tokens: 4, then 3 new ones behind d, then the last one behind g.
    assert rendered.to_list() == [
        {"row_id": "r0", "input_ids": [7, 8, 9, 10], "is_target": flags("xxxx")},
        {"row_id": "r0#1", "input_ids": [10, 11, 12, 13], "is_target": flags(".xxx")},
        {"row_id": "r0#2", "input_ids": [13, END], "is_target": flags(".x")},
    ]
    assert notes_of(rendered) == ["texts cut into windows of max_length: 1."]


@pytest.mark.parametrize("length", range(1, 25))
@pytest.mark.parametrize("size", [2, 3, 8])
def test_windows_learn_every_token_exactly_once(letters, length, size):
    text = "abcdefghijklmnopqrstuvwxyz"[:length]
    rendered = render(rows_of({"text": text}), letters, Rendering("causal", max_length=size))
    assert [token for row in rendered for token in loss_mask(row)] == [*ids_of(text), END]
    assert max(len(row["input_ids"]) for row in rendered) <= size


def test_the_prompt_is_read_and_the_answer_and_its_end_are_learnt(letters):
    rendered = render(rows_of({"prompt": "ab ", "completion": "cd"}), letters, CAUSAL)
    assert rendered[0]["input_ids"] == [7, 8, *ids_of(" "), 9, 10, END]
    assert rendered[0]["is_target"] == flags("...xxx")
    assert notes_of(rendered) == []


@pytest.mark.parametrize(("prompt", "answer"), [("ab", " c"), ("ab\n", "c"), ("ab", "\nc")])
def test_white_space_at_the_seam_is_left_as_it_is(letters, prompt, answer):
    row = render(rows_of({"prompt": prompt, "completion": answer}), letters, CAUSAL)[0]
    assert row["input_ids"] == [*ids_of(prompt + answer), END]
    assert loss_mask(row) == [*ids_of(answer), END]


def test_a_line_break_is_put_between_words_that_would_touch_and_said(letters):
    rows = rows_of({"prompt": "ab", "completion": "c"})
    rendered = render(rows, letters, CAUSAL)
    assert rendered[0]["input_ids"] == [*ids_of("ab\nc"), END]
    assert rendered[0]["is_target"] == flags("...xx")
    assert notes_of(rendered) == ["prompts given the separator '\\n': 1."]
    assert render(rows, letters, Rendering("causal", 64, separator=""))[0]["input_ids"] == [7, 8, 9, END]


def test_prompt_and_answer_never_merge_into_one_token(subwords):
    # As one text, "the cat" has a token for " cat" or more; apart, the answer begins where it begins.
    row = render(
        rows_of({"prompt": "the c", "completion": "at"}), subwords, Rendering("causal", 64, separator="")
    )[0]
    apart = [subwords(text, add_special_tokens=False)["input_ids"] for text in ("the c", "at")]
    assert row["input_ids"] == [*apart[0], *apart[1], subwords.eos_token_id]
    assert loss_mask(row) == [*apart[1], subwords.eos_token_id]
    assert row["input_ids"][:-1] != subwords("the cat", add_special_tokens=False)["input_ids"]


def test_the_end_is_learnt_even_when_it_also_pads(subwords):
    assert subwords.pad_token_id == subwords.eos_token_id
    for row in render(rows_of({"prompt": "the ", "completion": "cat"}), subwords, CAUSAL):
        assert loss_mask(row)[-1] == subwords.eos_token_id


def test_loss_on_all_learns_the_prompt_too(letters):
    row = render(
        rows_of({"prompt": "a ", "completion": "b"}), letters, Rendering("causal", 64, loss_on="all")
    )[0]
    assert row["is_target"] == flags("xxxx")


def test_a_question_lists_its_choices_as_the_official_code_does(letters):
    rows = rows_of({"question": "q", "answer": "b", "choices": ["x", "y"]})
    row = render(rows, letters, CAUSAL)[0]
    assert row["input_ids"] == [*ids_of("q\nA"), *letters("nswer ")["input_ids"], *row["input_ids"][9:]]
    assert letters.decode(row["input_ids"][9:]).endswith("hoices:\n(a) x\n(b) y\nb</s>")
    assert loss_mask(row) == [*ids_of("b"), END]


def test_an_answer_beyond_max_length_is_cut_without_an_end_and_counted(letters):
    rendered = render(rows_of({"prompt": "a ", "completion": "bcd"}), letters, Rendering("causal", 4))
    assert rendered[0]["input_ids"] == [7, *ids_of(" "), 8, 9]
    assert notes_of(rendered) == ["answers cut at max_length, so that their end is not taught: 1."]


def test_a_prompt_without_room_for_an_answer_is_refused_by_name(letters):
    rows = rows_of({"prompt": "a ", "completion": "b"}, {"prompt": "abcd ", "completion": "b"})
    with pytest.raises(RowError) as error:
        render(rows, letters, Rendering("causal", 4))
    assert str(error.value) == (
        "prompts must leave room for an answer within max_length 4, got 1 row whose prompt does not: row r1 "
        "(5 tokens). Set max_length to at least 6, or "
        "leave these rows out with too_long: drop in the load step."
    )


def test_a_chat_template_is_masked_to_the_answers_and_their_ends(chat_letters):
    rendered = render(rows_of(turns("a", "bc", "d", "e")), chat_letters, CAUSAL)
    line = ids_of("\n")
    assert rendered[0]["input_ids"] == [
        USER, 7, CHAT_END, *line, ASSISTANT, 8, 9, CHAT_END, *line,
        USER, 10, CHAT_END, *line, ASSISTANT, 11, CHAT_END, *line,
    ]  # fmt: skip
    assert rendered[0]["is_target"] == flags(".....xxx......xx.")


def test_loss_on_last_assistant_learns_the_last_answer_alone(chat_letters):
    rendering = Rendering("causal", 64, loss_on="last_assistant")
    row = render(rows_of(turns("a", "bc", "d", "e")), chat_letters, rendering)[0]
    assert row["is_target"] == flags("..............xx.")


def test_loss_on_all_learns_the_whole_conversation(chat_letters):
    row = render(rows_of(turns("a", "b")), chat_letters, Rendering("causal", 64, loss_on="all"))[0]
    assert row["is_target"] == [True] * 8


def test_a_template_that_ends_without_a_mark_gets_the_end_token(letters):
    template = "{% for m in messages %}{{ m['role'][0] + ':' + m['content'] + '\\n' }}{% endfor %}"
    template += "{% if add_generation_prompt %}{{ 'a:' }}{% endif %}"
    rendered = render(rows_of(turns("b", "c")), letter_tokenizer(template=template), CAUSAL)
    assert rendered[0]["input_ids"] == [*ids_of("u:b\na:c"), END]
    assert rendered[0]["is_target"] == flags("......xx")
    assert notes_of(rendered) == ["conversations given an end token that the chat template lacks: 1."]


def test_a_template_that_rewrites_earlier_turns_gives_an_example_for_every_answer():
    # As Qwen3's: what earlier answers say is shortened once another turn follows.
    template = (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>' }}"
        "{{ m['content'] if loop.last or m['role'] == 'user' else '' }}{{ '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    )
    tokenizer, rows = letter_tokenizer(template=template), rows_of(turns("a", "b", "c", "d"))
    rendered = render(rows, tokenizer, CAUSAL)
    assert rendered["row_id"][:] == ["r0#turn2", "r0"]
    assert [loss_mask(row) for row in rendered] == [[8, CHAT_END], [10, CHAT_END]]
    assert rendered["input_ids"][1][:6] == [USER, 7, CHAT_END, ASSISTANT, CHAT_END, USER]
    row = render(rows, tokenizer, Rendering("causal", 64, loss_on="last_assistant"))[0]
    assert row == rendered[1]


def test_a_template_that_refuses_a_conversation_is_reported_with_the_row():
    template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(RowError, match=r"row r0: the chat template must accept .* roles must alternate"):
        render(rows_of(turns("a", "b")), letter_tokenizer(template=template), CAUSAL)


def test_without_a_template_roles_stand_on_lines_of_their_own(letters):
    row = render(rows_of(turns("a", "b", "c", "d")), letters, CAUSAL)[0]
    text = "User:\na\n\nAssistant:\nb</s>\n\nUser:\nc\n\nAssistant:\nd</s>"
    assert letters.decode(row["input_ids"]) == text
    assert loss_mask(row) == [8, END, 10, END]


def test_with_the_task_preference_both_answers_are_learnt_each_in_its_group(letters, chat_letters):
    rendering = Rendering("causal", 64, task="preference")
    pair = {"prompt": "a ", "chosen": "b", "rejected": "cd"}
    text = render(rows_of(pair, {**pair, "rejected": ""}), letters, rendering)
    assert text["row_id"][:] == ["r0", "r0#rejected", "r1", "r1#rejected"]
    assert text["group"][:] == [0, 1, 0, 1]
    assert [loss_mask(row) for row in text] == [[8, END], [9, 10, END], [8, END], [END]]
    assert notes_of(text) == []
    row = {**turns("a", "b", "c"), "chosen": "d", "rejected": "e"}
    chat = render(rows_of(row), chat_letters, rendering)
    assert [loss_mask(one) for one in chat] == [[10, CHAT_END], [11, CHAT_END]]
    assert (chat["row_id"][:], chat["group"][:]) == (["r0", "r0#rejected"], [0, 1])


def test_a_preference_learns_what_was_chosen(letters, chat_letters):
    text = render(rows_of({"prompt": "a ", "chosen": "b", "rejected": "c"}), letters, CAUSAL)
    assert loss_mask(text[0]) == [8, END]
    assert notes_of(text) == ["rejected answers not learnt from: 1."]
    row = {**turns("a", "b", "c"), "chosen": "d", "rejected": "e"}
    assert loss_mask(render(rows_of(row), chat_letters, CAUSAL)[0]) == [10, CHAT_END]


def test_two_tasks_give_the_label_and_the_rationale_of_every_row(letters):
    rendering = Rendering("causal", 64, task="two_task", predict_prefix="p: ", explain_prefix="e: ")
    rendered = render(rows_of({"question": "q", "answer": "a", "rationale": "bc"}), letters, rendering)
    assert rendering.group_names == ("label", "rationale")
    assert rendered["row_id"][:] == ["r0", "r0#rationale"]
    assert rendered["group"][:] == [0, 1]
    assert rendered["input_ids"][:] == [[*ids_of("p: q\na"), END], [*ids_of("e: q\nbc"), END]]
    assert rendered["is_target"][:] == [flags(".....xx"), flags(".....xxx")]


def test_two_tasks_need_a_rationale_in_every_row(letters):
    rendering = Rendering("causal", 64, task="two_task")
    with pytest.raises(RowError, match="must have the column `rationale`"):
        render(rows_of({"question": "q", "answer": "a"}), letters, rendering)
    rows = rows_of(*({"question": "q", "answer": "a", "rationale": text} for text in ("b", " ", None)))
    with pytest.raises(RowError, match=r"(?s)row r1: rationale must be text.*row r2: rationale must be text"):
        render(rows, letters, rendering)


def test_a_tokenizer_without_an_end_is_refused():
    with pytest.raises(ModelError, match="the tokenizer must have an end token"):
        render(rows_of({"text": "a"}), letter_tokenizer(eos=None), CAUSAL)


def test_rows_of_a_kind_that_teaches_no_such_model_are_refused(letters):
    with pytest.raises(RowError, match=r"rows for a causal model must have .* got tokens\+tags"):
        render(rows_of({"tokens": ["a"], "tags": ["O"]}), letters, CAUSAL)


@pytest.mark.parametrize(
    "row",
    [{"prompt": "ab", "completion": "c"}, {"question": "ab", "answer": "c"}, turns("a", "b", "c", "d")],
    ids=["completion", "question", "messages"],
)
@pytest.mark.parametrize("template", [None, TEMPLATE], ids=["plain", "template"])
def test_prompts_alone_are_the_tokens_before_the_last_answer(row, template):
    tokenizer = letter_tokenizer(bos=True, eos="<|end|>", template=template)
    rendering = Rendering("causal", 64, loss_on="last_assistant")
    whole = render(rows_of(row), tokenizer, rendering)[0]
    prompt = render_prompts(rows_of(row), tokenizer, rendering)[0]["input_ids"]
    assert prompt == whole["input_ids"][: whole["is_target"].index(True)]


def test_prompts_of_conversations_load_from_messages_without_an_answer(write, chat_letters):
    rows = load_rows(
        write([{"messages": [{"role": "user", "content": "a"}]}]), columns={"prompt": "messages"}
    )
    assert render_prompts(rows, chat_letters, CAUSAL)[0]["input_ids"][-1] == ASSISTANT


def test_prompts_that_fill_max_length_are_refused(letters):
    with pytest.raises(RowError, match="row r0: its prompt must be shorter than max_length 4, got 5"):
        render_prompts(rows_of({"prompt": "abcd "}), letters, Rendering("causal", 4))
