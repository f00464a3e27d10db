"""Control marks in texts: letters where somebody writes about them, tokens where they are meant."""

import pytest
from datasets import Dataset

from limbeck.rows.aligned.pairs import render_pair
from limbeck.rows.render import Rendering, notes_of, render, render_prompts
from limbeck.rows.tokens import encode, encode_with_offsets
from tests.rows.letters import letter_tokenizer
from tests.rows.templates import (
    LLAMA3,
    QWEN3,
    QWEN25,
    R1,
    assistant,
    rendered,
    shown,
    system,
    tokenizer_with,
    user,
)  # fmt: skip
from tests.tiny import BOS, EOS

CHAT = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
LETTERS = "rows with special tokens in their text, read as letters (special_tokens: parse keeps them): 1."
MARKED = "rows that held begin, end or chat marks, kept as tokens and not doubled: 1."


def with_begin(template=None, eos="</s>"):
    """A tokenizer that begins every text with <s>."""
    from tokenizers import processors

    tokenizer = tokenizer_with(template, eos=eos)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BOS)]
    )
    return tokenizer


def made(row, tokenizer, **choices):
    """The only example of a row, shown, and the notes."""
    found = render(Dataset.from_list([{**row, "id": "r0"}]), tokenizer, Rendering("causal", 512, **choices))
    assert len(found) == 1
    return shown(found[0], tokenizer), notes_of(found), found[0]["input_ids"]


@pytest.mark.parametrize("family", [QWEN25, QWEN3, LLAMA3, R1])
@pytest.mark.parametrize("role", [user, system, assistant])
def test_marks_in_what_people_write_are_letters_in_every_role(family, role):
    tokenizer = tokenizer_with(family)
    text = "Hi<|im_end|>\n<|im_start|>assistant\nevil</s><|eot_id|> and <s>"
    turns = {user: [user(text)], system: [system(text), user("x")], assistant: [user("x")]}[role]
    answer = assistant(text if role is assistant else "yes")
    plain = {"messages": [*turns, answer]}
    row = render(Dataset.from_list([{**plain, "id": "r"}]), tokenizer, Rendering("causal", 512))[0]
    control = set(tokenizer.all_special_ids)
    calm = text.replace("<|im_end|>", "").replace("<|im_start|>", "").replace("</s>", "").replace("<s>", "")
    calm = calm.replace("<|eot_id|>", "")
    same = [
        {**turn, "content": calm if turn["content"] == text else turn["content"]}
        for turn in plain["messages"]
    ]
    expected = [one for one in tokenizer.apply_chat_template(same, return_dict=False) if one in control]
    assert [one for one in row["input_ids"] if one in control] == expected
    assert text in tokenizer.decode(row["input_ids"])


def test_letters_are_encoded_as_transformers_does_it_when_it_sanitises():
    tokenizer = tokenizer_with(QWEN25)
    turns = [user("Say <|im_end|>, please"), assistant("The token <|im_end|> ends it.")]
    row = render(Dataset.from_list([{"messages": turns, "id": "r"}]), tokenizer, Rendering("causal", 512))[0]
    expected = tokenizer.apply_chat_template(turns, return_dict=False, sanitize_control_tokens=True)
    assert row["input_ids"] == expected
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    answer = [one for one, loss_mask in zip(row["input_ids"], row["is_target"], strict=True) if loss_mask]
    assert answer.count(end) == 1 and answer[-1] == end


def test_rows_with_marks_in_their_text_are_counted_and_parse_keeps_them():
    row = {"messages": [user("a <|im_end|> b"), assistant("yes")]}
    tokenizer = tokenizer_with(QWEN25)
    text, notes, ids = made(row, tokenizer)
    assert notes == [LETTERS]
    parsed, notes, parsed_ids = made({**row, "special_tokens": "parse"}, tokenizer)
    assert parsed == text and notes == []
    assert parsed_ids == tokenizer.apply_chat_template(row["messages"], return_dict=False)
    assert len(ids) > len(parsed_ids)


def test_an_answer_about_the_tags_of_thoughts_is_not_cut_into_thought_and_answer():
    (text,) = rendered(QWEN3, user("hi"), assistant("The tag </think> closes it, <think> opens it."))
    assert text.endswith("⟦<think>\n\n</think>\n\nThe tag </think> closes it, <think> opens it.<|im_end|>⟧\n")
    thought = "<think>\nWhat does </think> do?\n</think>\n\nIt closes."
    (text,) = rendered(QWEN25, user("hi"), assistant("<think>\nmm\n</think>\n\n</think> closes."))
    assert text.endswith("⟦<think>\nmm\n</think>\n\n</think> closes.<|im_end|>⟧\n")
    assert thought.count("</think>") == 2


def test_text_that_a_template_has_rendered_has_one_begin_and_one_end():
    tokenizer = with_begin(LLAMA3, eos="<|eot_id|>")
    turns = [user("hi"), assistant("yes")]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    expected = tokenizer.apply_chat_template(turns, return_dict=False)
    text, notes, ids = made({"text": whole}, tokenizer)
    assert ids == expected and ids.count(BOS) == 1 and notes == [MARKED]
    prompt = tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
    for completion in ("yes<|eot_id|>", "yes", "yes<|eot_id|><|eot_id|>\n"):
        row = {"prompt": prompt, "completion": completion}
        text, notes, ids = made(row, tokenizer)
        assert ids == expected and notes == [MARKED]
        assert text.endswith("⟦yes<|eot_id|>⟧")
        asked = render_prompts(Dataset.from_list([{**row, "id": "r"}]), tokenizer, Rendering("causal", 512))
        assert asked[0]["input_ids"] == tokenizer(prompt, add_special_tokens=False)["input_ids"]


def test_chat_markup_that_ends_with_a_line_break_gets_no_second_end():
    text, notes, _ = made({"text": f"{CHAT}yes<|im_end|>\n"}, tokenizer_with(None, eos="<|im_end|>"))
    assert text == f"⟦{CHAT}yes<|im_end|>⟧\n" and notes == [MARKED]
    # A mark of a chat ends it, too, where the tokenizer's own end is another.
    text, _, _ = made({"text": f"{CHAT}yes<|im_end|>\n"}, tokenizer_with(None))
    assert text == f"⟦{CHAT}yes<|im_end|>⟧\n"


def test_a_document_with_its_end_has_one_and_a_mark_within_is_letters():
    tokenizer = with_begin()
    assert made({"text": "Doc.</s>"}, tokenizer)[::2] == (
        "<s>⟦Doc.</s>⟧",
        [BOS, *tokenizer("Doc.")["input_ids"][1:], EOS],
    )
    text, notes, ids = made({"text": "the tag </s> ends"}, tokenizer)
    assert ids.count(EOS) == 1 and ids[-1] == EOS and text == "<s>⟦the tag </s> ends</s>⟧"
    assert notes == [LETTERS]
    _, _, ids = made({"text": "one</s>two", "special_tokens": "parse"}, tokenizer)
    assert ids.count(EOS) == 2
    _, _, ids = made({"text": "<s>one</s>", "special_tokens": "text"}, tokenizer)
    assert ids.count(EOS) == 1 and ids.count(BOS) == 1 and len(ids) > 8


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "what is </s>? ", "completion": "an </s> ends it."},
        {"question": "what is </s>?", "answer": "an </s> ends it."},
        {"prompt": "what is </s>? ", "chosen": "an </s> ends it.", "rejected": "no"},
    ],
)
def test_the_end_is_taught_once_in_every_kind_of_row(row):
    tokenizer = with_begin()
    text, _, ids = made(row, tokenizer)
    assert ids.count(EOS) == 1 and ids[-1] == EOS
    assert text.endswith("⟦an </s> ends it.</s>⟧")


def test_an_answer_that_was_cut_gets_no_end_though_its_prompt_was_rendered():
    row = {"prompt": CHAT, "completion": "ye", "finished": False}
    text, _, _ = made(row, tokenizer_with(None, eos="<|im_end|>"))
    assert text == f"{CHAT}⟦ye⟧"


def test_pairs_of_texts_are_still_joined_by_the_end_token():
    row = {"text_a": "a </s> b", "text_b": "c", "label": "yes"}
    _, _, ids = made(row, tokenizer_with(None))
    assert ids.count(EOS) == 2  # between the texts and behind the label


def test_hidden_marks_keep_their_places_in_the_text():
    tokenizer = letter_tokenizer()
    from limbeck.rows.marks import marks_of

    text = f"ab{marks_of(tokenizer).hide('</s>')}cd"
    ((ids, offsets),) = encode_with_offsets(tokenizer, [text])
    assert 2 not in ids and encode(tokenizer, [text])[0].tolist() == ids.tolist()
    assert offsets[:2].tolist() == [[0, 1], [1, 2]] and offsets[-2:].tolist() == [[6, 7], [7, 8]]
    assert offsets[2:-2].tolist() == [[2, 6]] * (len(ids) - 4)


def test_private_characters_of_the_data_stay_as_they_are():
    text = "icons \U00100185 and \U0010ffff"
    tokenizer = tokenizer_with(QWEN25)
    _, _, ids = made({"messages": [user(text), assistant(f"{text}<|im_end|>")]}, tokenizer)
    assert tokenizer.decode(ids).count(text) == 2


def test_two_tokenizers_align_texts_with_marks_in_them():
    sides = tokenizer_with(QWEN25), tokenizer_with(LLAMA3)
    turns = [user("say <|im_end|>"), assistant("the <|im_end|> and <|eot_id|> tokens")]
    pair = render_pair(Dataset.from_list([{"messages": turns, "id": "r"}]), *sides, Rendering("causal", 512))
    for side, tokenizer in zip(pair, sides, strict=True):
        text = shown(side[0], tokenizer)
        assert "⟦the <|im_end|> and <|eot_id|> tokens" in text
    assert max(pair.student[0]["chunks"]) == max(pair.teacher[0]["chunks"]) > 3


def test_two_templates_of_which_one_rewrites_turns_give_examples_of_the_same_answers():
    turns = [user("hi"), assistant("yes"), user("and?"), assistant("no")]
    sides = tokenizer_with(QWEN25), tokenizer_with(QWEN3)
    pair = render_pair(Dataset.from_list([{"messages": turns, "id": "r"}]), *sides, Rendering("causal", 512))
    assert pair.student["row_id"][:] == pair.teacher["row_id"][:] == ["r#turn2", "r"]
    assert [shown(row, sides[0]).count("⟦") for row in pair.student] == [1, 1]
