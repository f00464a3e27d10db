"""The loss mask of a text does not depend on how a tokenizer reports its characters."""

import numpy as np
import pytest
from datasets import Dataset
from tokenizers import processors

from limbeck.rows.render import Rendering, render
from limbeck.rows.tokens import encode_with_offsets
from tests.rows.letters import TEMPLATE
from tests.tiny import tiny_tokenizer

CODE = "def f(x):\n    if x:\n        return 1\n  \n"


def trimming(*, trim, nested=False):
    """A byte-level tokenizer as GPT-NeoX's (trimming) or as GPT-2's of today (not)."""
    tokenizer = tiny_tokenizer()
    last = processors.ByteLevel(trim_offsets=trim)
    last = processors.Sequence([last, last]) if nested else last
    tokenizer.backend_tokenizer.post_processor = last
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|assistant|>", "<|end|>"]})
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@pytest.mark.parametrize("nested", [False, True])
def test_tokens_that_begin_with_a_space_are_learnt_whether_offsets_are_trimmed_or_not(nested):
    turns = [{"role": "user", "content": "write f"}, {"role": "assistant", "content": CODE}]
    rows = Dataset.from_list([{"messages": turns, "id": "r0"}])
    tokenizer = trimming(trim=True, nested=nested)
    row = render(rows, tokenizer, Rendering("causal", 256))[0]
    answer = tokenizer(CODE + "<|end|>", add_special_tokens=False)["input_ids"]
    line_behind_the_end = 1
    expected = [False] * (len(row["input_ids"]) - len(answer) - line_behind_the_end)
    assert row["is_target"] == [*expected, *[True] * len(answer), False]
    assert render(rows, trimming(trim=False), Rendering("causal", 256))[0] == row


def test_offsets_hold_the_space_before_a_word():
    ((ids, offsets),) = encode_with_offsets(trimming(trim=True), ["a cat"])
    assert offsets[0, 0] == 0 and offsets[-1, 1] == 5
    np.testing.assert_array_equal(offsets[1:, 0], offsets[:-1, 1])
    assert ids.tolist() == tiny_tokenizer()("a cat", add_special_tokens=False)["input_ids"]
