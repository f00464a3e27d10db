"""Tiny tokenizers and files of rows."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tests.rows.letters import TEMPLATE, letter_tokenizer


@pytest.fixture(scope="session")
def letters():
    """One token a character, no begin token, end token 2."""
    return letter_tokenizer()


@pytest.fixture(scope="session")
def letters_with_begin():
    """One token a character after the begin token 1."""
    return letter_tokenizer(bos=True)


@pytest.fixture(scope="session")
def chat_letters():
    """One token a character, with a chat template that ends turns with 3."""
    return letter_tokenizer(eos="<|end|>", template=TEMPLATE)


@pytest.fixture(scope="session")
def subwords():
    """A byte-level BPE of 300 pieces trained on a few sentences, so that merges happen."""
    text = ["the cat sat on the mat and the dog sat on the log", "the answer to the question is the cat"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<end>"])
    tokenizer.train_from_iterator(text * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")


@pytest.fixture
def write(tmp_path):
    """Write rows as a .jsonl file and give its path."""

    def write(rows, name="rows.jsonl"):
        path = Path(tmp_path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write
