"""Rows for encoder-decoders, encoders and classifiers; the choices of a rendering."""

import pytest
from datasets import Dataset, load_from_disk

from limbeck.core.errors import ConfigError, RowError
from limbeck.rows.classes import label_names
from limbeck.rows.render import Rendering, notes_of, render, render_prompts
from tests.rows.letters import ids_of, letter_tokenizer
from tests.tiny import tiny_encoder_tokenizer, tiny_seq2seq_tokenizer

END = 2


def rows_of(*rows):
    return Dataset.from_list([{**row, "id": f"r{i}"} for i, row in enumerate(rows)])


@pytest.fixture(scope="module")
def closing():
    """One token a letter, the end token behind every input, as T5's."""
    return letter_tokenizer(closing=True)


def test_seq2seq_reads_the_prompt_and_writes_the_answer_with_its_end(closing):
    row = render(rows_of({"prompt": "ab", "completion": "cd"}), closing, Rendering("seq2seq", 64))[0]
    assert row == {"row_id": "r0", "input_ids": [7, 8, END], "target_ids": [9, 10, END]}


def test_seq2seq_cuts_inputs_and_targets_and_says_so(closing):
    rendering = Rendering("seq2seq", 3, max_target_length=2)
    rendered = render(rows_of({"prompt": "abcde", "completion": "cd"}), closing, rendering)
    assert rendered[0]["input_ids"] == [7, 8, END]  # the encoder's closing token stays
    assert rendered[0]["target_ids"] == [9, 10]  # a cut target does not teach to stop
    assert notes_of(rendered) == [
        "inputs cut at max_length: 1.",
        "targets cut at max_target_length, so that their end is not taught: 1.",
    ]


def test_a_target_of_exactly_the_limit_is_whole(closing):
    rendering = Rendering("seq2seq", 64, max_target_length=3)
    rendered = render(rows_of({"prompt": "ab", "completion": "cd"}), closing, rendering)
    assert rendered[0]["target_ids"] == [9, 10, END]
    assert notes_of(rendered) == []


def test_seq2seq_two_tasks_are_predict_and_explain(closing):
    rows = rows_of({"question": "q", "answer": "a", "rationale": "bc"})
    rendered = render(rows, closing, Rendering("seq2seq", 64, task="two_task"))
    assert rendered.to_list() == [
        {"row_id": "r0", "input_ids": [*ids_of("predict: q"), END], "target_ids": [7, END], "group": 0},
        {
            "row_id": "r0#rationale",
            "input_ids": [*ids_of("explain: q"), END],
            "target_ids": [8, 9, END],
            "group": 1,
        },
    ]
    prompt = render_prompts(rows, closing, Rendering("seq2seq", 64, task="two_task"))
    assert prompt["input_ids"][:] == rendered["input_ids"][:1]


def test_seq2seq_writes_both_answers_of_a_preference(closing):
    rows = rows_of({"prompt": "a", "chosen": "b", "rejected": "c"})
    rendered = render(rows, closing, Rendering("seq2seq", 64, task="preference"))
    assert rendered["target_ids"][:] == [[8, END], [9, END]]
    assert rendered["input_ids"][0] == rendered["input_ids"][1]
    before = [{"role": "user", "content": "a"}]
    rows = rows_of({"messages": before, "chosen": "b", "rejected": "c"})
    rendered = render(rows, closing, Rendering("seq2seq", 64, task="preference"))
    assert rendered["target_ids"][:] == [[8, END], [9, END]]
    assert (rendered["row_id"][:], rendered["group"][:]) == (["r0", "r0#rejected"], [0, 1])


def test_the_task_preference_needs_two_answers(closing):
    with pytest.raises(
        RowError, match=r"rows for preference must have the columns chosen\+rejected, got prompt"
    ):
        render(
            rows_of({"prompt": "a", "completion": "b"}), closing, Rendering("causal", 64, task="preference")
        )


def test_pairs_with_a_label_are_joined_by_the_end_token_for_seq2seq(closing):
    # Official code of distilling step-by-step: premise + eos_token + hypothesis.
    row = render(rows_of({"text_a": "a", "text_b": "b", "label": "c"}), closing, Rendering("seq2seq", 64))[0]
    assert row["input_ids"] == [7, END, 8, END]
    assert row["target_ids"] == [9, END]


def test_seq2seq_conversations_write_the_last_answer(closing):
    messages = [{"role": role, "content": text} for role, text in (("user", "a"), ("assistant", "b"))]
    row = render(rows_of({"messages": messages}), closing, Rendering("seq2seq", 64))[0]
    assert closing.decode(row["input_ids"]) == "User:\na\n\nAssistant:\n</s>"
    assert row["target_ids"] == [8, END]


def test_an_encoder_reads_the_texts_of_a_pair_as_two_inputs():
    tokenizer = tiny_encoder_tokenizer()
    rows = rows_of({"text_a": "a b", "text_b": "c", "score": 1.0})
    rendered = render(rows, tokenizer, Rendering("encoder", 3))
    assert rendered["row_id"][:] == ["r0", "r0#b"]
    a, b, c, cls, sep = tokenizer.convert_tokens_to_ids(["a", "b", "c", "[CLS]", "[SEP]"])
    assert rendered["input_ids"][:] == [[cls, a, sep], [cls, c, sep]]
    assert b not in rendered["input_ids"][0]
    assert notes_of(rendered) == ["inputs cut at max_length: 1."]


def test_a_classifier_reads_a_pair_as_one_input_with_two_token_types():
    tokenizer = tiny_encoder_tokenizer()
    rows = rows_of({"text_a": "a", "text_b": "b", "label": "yes"})
    row = render(rows, tokenizer, Rendering("classifier", 8, label_names=("no", "yes")))[0]
    a, b, cls, sep = tokenizer.convert_tokens_to_ids(["a", "b", "[CLS]", "[SEP]"])
    assert row["input_ids"] == [cls, a, sep, b, sep]
    assert row["token_type_ids"] == [0, 0, 0, 1, 1]
    assert row["label"] == 1


def test_label_names_sort_whole_numbers_by_value_and_words_by_alphabet():
    assert label_names(rows_of(*({"text": "t", "label": i} for i in (10, 2, 2, 1)))) == ("1", "2", "10")
    assert label_names(rows_of(*({"text": "t", "label": x} for x in ("b", "10", "a")))) == ("10", "a", "b")
    with pytest.raises(RowError, match="must have the column `label`, got text, id"):
        label_names(rows_of({"text": "t"}))


def test_a_label_that_training_did_not_have_is_named_with_its_row():
    rendering = Rendering("classifier", 8, label_names=("no", "yes"))
    with pytest.raises(RowError, match="row r1: label must be one of no, yes, got maybe"):
        rows = rows_of({"text": "a", "label": "no"}, {"text": "b", "label": "maybe"})
        render(rows, tiny_encoder_tokenizer(), rendering)


def test_notes_outlive_saving(closing, tmp_path):
    rendered = render(rows_of({"prompt": "abcde", "completion": "c"}), closing, Rendering("seq2seq", 3))
    rendered.save_to_disk(str(tmp_path / "rendered"))
    assert notes_of(load_from_disk(str(tmp_path / "rendered"))) == ["inputs cut at max_length: 1."]


def test_no_rows_render_to_no_rows(closing):
    rows = rows_of({"prompt": "a", "completion": "b"}).select([])
    assert len(render(rows, closing, Rendering("causal", 8))) == 0


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"max_length": 1}, "max_length: must be at least 2, got 1"),
        ({"max_target_length": 0}, "max_target_length: must be at least 1, got 0"),
        ({"model_kind": "encoder", "task": "two_task"}, "two_task must go with causal or seq2seq"),
        ({"model_kind": "encoder", "task": "preference"}, "preference must go with causal or seq2seq"),
        ({"model_kind": "classifier"}, "label_names: must name the classes of a classifier"),
    ],
)
def test_choices_that_cannot_be_are_refused(choices, message):
    with pytest.raises(ConfigError, match=message):
        Rendering(**{"model_kind": "causal", "max_length": 8, **choices})


def test_seq2seq_targets_hold_thoughts_and_calls_and_end_once(closing):
    tokenizer = tiny_seq2seq_tokenizer()

    def target(**turn):
        row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", **turn}]}
        return tokenizer.decode(render(rows_of(row), tokenizer, Rendering("seq2seq", 64))[0]["target_ids"])

    call = {"function": {"name": "f", "arguments": '{"c": 1}'}}
    assert target(content="c", reasoning_content="b") == "<think>\nb\n</think>\n\nc</s>"
    called = '<tool_call>\n{"name": "f", "arguments": {"c": 1}}\n</tool_call></s>'
    assert target(content="", tool_calls=[call]) == called
    (row,) = render(rows_of({"prompt": "a", "completion": "b</s>"}), closing, Rendering("seq2seq", 64))
    assert row["target_ids"] == [8, END]
    (row,) = render(rows_of({"prompt": "a", "completion": "b</s>c"}), closing, Rendering("seq2seq", 64))
    assert row["target_ids"].count(END) == 1 and row["target_ids"][-2:] == [9, END]


def test_seq2seq_conversations_without_a_last_answer_are_refused_in_one_line(closing):
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}]
    with pytest.raises(RowError) as error:
        render(rows_of({"messages": turns}, {"messages": turns}), closing, Rendering("seq2seq", 64))
    assert str(error.value) == (
        "2 rows (r0, r1): an assistant turn must have something to learn, got none with a text. "
        "Take these rows out."
    )
