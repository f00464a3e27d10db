"""Ends of answers by templates in the manner of model families, and by settings; found, never named."""

import pytest
from transformers import GenerationConfig

from limbeck.core.stops import stop_ids, template_ends, told_ends
from tests.tiny import EOS, tiny_tokenizer

GEMMA = (
    "{{ bos_token }}{% for m in messages %}{% set who = 'model' if m.role == 'assistant' else m.role %}"
    "<start_of_turn>{{ who }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
PHI3 = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
QWEN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for call in m.tool_calls or [] %}"
    "<tool_call>\n{{ call.function | tojson }}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA31 = (
    "{% for m in messages %}<|header|>{{ m.role }}\n\n{% if m.tool_calls %}"
    "{{ m.tool_calls[0].function | tojson }}<|eom_id|>{% else %}{{ m.content | trim }}<|eot_id|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|header|>assistant\n\n{% endif %}"
)
THINKING = QWEN.replace(
    "{{ m.content }}", "{% if m.role == 'assistant' %}<think>\n\n</think>\n{% endif %}{{ m.content }}"
)
WORDS = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}"
ENDED = "{% for m in messages %}{{ m.role }}: {{ m.content }} {{ eos_token }}{% endfor %}"
STRICT = (
    "{% if messages[0].role != 'system' %}{{ raise_exception('no system turn') }}{% endif %}{{ messages }}"
)


def chat(template, *special, plain=()):
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.add_tokens(list(plain))
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize(
    ("template", "special", "plain", "ends"),
    [
        (GEMMA, ["<start_of_turn>", "<end_of_turn>"], [], ["<end_of_turn>"]),
        (PHI3, ["<|user|>", "<|assistant|>", "<|end|>"], [], ["<|end|>"]),
        (QWEN, ["<|im_start|>", "<|im_end|>"], ["<tool_call>", "</tool_call>"], ["<|im_end|>"]),
        (THINKING, ["<|im_start|>", "<|im_end|>"], ["<think>", "</think>"], ["<|im_end|>"]),
        (LLAMA31, ["<|header|>", "<|eot_id|>", "<|eom_id|>"], [], ["<|eot_id|>", "<|eom_id|>"]),
        (GEMMA, ["<start_of_turn>"], ["<end_of_turn>"], ["<end_of_turn>"]),  # added, though not as special
        (ENDED, [], [], ["</s>"]),
        (WORDS, [], [], []),
        (STRICT, [], [], []),
    ],
)
def test_the_mark_behind_the_content_of_a_turn_ends_an_answer(template, special, plain, ends):
    tokenizer = chat(template, *special, plain=plain)
    assert list(template_ends(tokenizer)) == tokenizer.convert_tokens_to_ids(ends)


def test_tokenizer_settings_and_template_add_up_without_repetition():
    tokenizer = chat(GEMMA, "<start_of_turn>", "<end_of_turn>")
    turn = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    settings = [
        GenerationConfig(eos_token_id=[EOS, 9]),
        GenerationConfig(eos_token_id=11),
        GenerationConfig(),
        None,
    ]
    assert stop_ids(tokenizer, *settings) == (EOS, 9, 11, turn)
    tokenizer.eos_token = None
    assert stop_ids(tokenizer) == (turn,)
    tokenizer.chat_template = None
    assert stop_ids(tokenizer) == ()


def test_the_ends_are_told_with_their_spelling():
    tokenizer = chat(GEMMA, "<start_of_turn>", "<end_of_turn>")
    turn = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    assert told_ends(tokenizer, [EOS, turn]) == f"Answers end at </s> (2) or <end_of_turn> ({turn})."
    assert told_ends(tokenizer, [EOS]) == "Answers end at </s> (2)."
    assert told_ends(tokenizer, []) == "No token ends an answer: all run to the limit."
