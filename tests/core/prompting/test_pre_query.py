"""The beginning of a user's turn, from chat templates of known models."""

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from limbeck.core.errors import ModelError
from limbeck.core.prompting.pre_query import pre_query

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
)
MISTRAL = "{{ bos_token }}{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}"


def tokenizer(template: str | None, bos: str | None = None) -> PreTrainedTokenizerFast:
    made = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=bos)
    made.chat_template = template
    return made


# The texts of magpie-align/magpie, configs/model_configs.json, without the token that begins a text.
@pytest.mark.parametrize(
    ("template", "bos", "system", "text", "ends"),
    [
        (CHATML, None, None, "<|im_start|>user\n", ("<|im_end|>",)),
        (CHATML, None, "S", "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n", ("<|im_end|>",)),
        (LLAMA3, "<|begin_of_text|>", None, "<|start_header_id|>user<|end_header_id|>\n\n", ("<|eot_id|>",)),
        (MISTRAL, "<s>", None, "[INST] ", ("[/INST]",)),
    ],
)
def test_is_what_the_chat_template_writes_before_a_user(template, bos, system, text, ends) -> None:
    assert pre_query(tokenizer(template, bos), system) == (text, ends)


def test_needs_a_chat_template_that_writes_what_a_user_says() -> None:
    with pytest.raises(ModelError, match="must have a chat template, got none"):
        pre_query(tokenizer(None))
    with pytest.raises(ModelError, match="as it is, got 0 times"):
        pre_query(tokenizer("{{ messages[0].content | upper }}"))
