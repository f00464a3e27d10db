"""Rows that say how they are read: through a chat template, with or without control tokens, on a day."""

from datetime import date

import pytest
from datasets import Dataset

from limbeck.core.errors import ConfigError
from limbeck.core.template import dated
from limbeck.rows.forms import as_read, said_of_form
from limbeck.rows.render import Rendering, notes_of, render, render_prompts
from tests.rows.templates import LLAMA31, QWEN25, assistant, rendered, shown, tokenizer_with, user

CHAT = "<|im_start|>system\nYou are Qwen.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
SAID = "chat: true in the load step writes them as two turns."


def rows_of(*rows):
    return Dataset.from_list([{**row, "id": f"r{number}"} for number, row in enumerate(rows)])


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ({"prompt": "hi", "completion": "yes"}, "hi"),
        ({"question": "hi", "answer": "yes"}, "hi"),
        (
            {"question": "hi", "answer": "yes", "choices": ["no", "yes"]},
            "hi\nAnswer Choices:\n(a) no\n(b) yes",
        ),
        ({"prompt": "hi", "chosen": "yes", "rejected": "no"}, "hi"),
    ],
)
def test_prompts_and_answers_become_two_turns(row, asked):
    tokenizer = tokenizer_with(QWEN25)
    rows = as_read(rows_of(row), chat=True)
    (found,) = render(rows, tokenizer, Rendering("causal", 512))
    assert shown(found, tokenizer) == f"{CHAT.format(asked)}⟦yes<|im_end|>⟧\n"
    prompt = render_prompts(rows, tokenizer, Rendering("causal", 512))[0]["input_ids"]
    assert tokenizer.decode(prompt) == CHAT.format(asked)
    assert said_of_form(rows, tokenizer) == ""
    assert said_of_form(rows_of(row), tokenizer).endswith(SAID)


def test_prompts_alone_become_a_turn_and_conversations_stay():
    tokenizer = tokenizer_with(QWEN25)
    prompt = render_prompts(
        as_read(rows_of({"prompt": "hi"}), chat=True), tokenizer, Rendering("causal", 512)
    )
    assert tokenizer.decode(prompt[0]["input_ids"]) == CHAT.format("hi")
    rows = rows_of({"messages": [user("hi"), assistant("yes")]})
    assert as_read(rows, chat=True).to_list() == rows.to_list()
    assert "no chat template" in said_of_form(rows, tokenizer_with(None))


def test_a_part_without_rows_takes_every_choice():
    rows = rows_of({"prompt": "hi", "completion": "yes"}).select([])
    made = as_read(rows, chat=True, special_tokens="parse", template_date="2026-01-02")
    assert len(made) == 0 and {"messages", "special_tokens", "template_date"} <= set(made.column_names)


def test_rows_without_a_prompt_have_no_turns():
    with pytest.raises(ConfigError, match=r"chat: must be false for rows without a prompt, got text rows"):
        as_read(rows_of({"text": "hi"}), chat=True)


def test_special_tokens_are_read_as_the_rows_say():
    tokenizer = tokenizer_with(None)
    rows = rows_of({"text": "a</s>b"})
    for choice, ends in (("auto", 1), ("text", 1), ("parse", 2)):
        (found,) = render(as_read(rows, special_tokens=choice), tokenizer, Rendering("causal", 64))
        assert found["input_ids"].count(tokenizer.eos_token_id) == ends
    made = render(as_read(rows, special_tokens="parse"), tokenizer, Rendering("causal", 64))
    assert notes_of(made) == ["rows that held begin, end or chat marks, kept as tokens and not doubled: 1."]


def test_a_template_writes_the_day_it_is_given():
    turns = (user("hi"), assistant("yes"))
    with dated(date(2026, 1, 2)):
        (first,) = rendered(LLAMA31, *turns)
    with dated(date(2026, 1, 3)):
        (second,) = rendered(LLAMA31, *turns)
        (own,) = rendered(LLAMA31, *turns, row={"template_date": "2026-01-02"})
    assert "Today Date: 02 Jan 2026" in first and "Today Date: 03 Jan 2026" in second
    assert own == first
    rows = as_read(rows_of({"prompt": [user("hi")]}), template_date="2026-01-02")
    tokenizer = tokenizer_with(LLAMA31)
    prompt = render_prompts(rows, tokenizer, Rendering("causal", 512))[0]["input_ids"]
    assert tokenizer.decode(prompt) == first.partition("⟦")[0]
