"""Encoder-decoder models of several families against plain transformers, one prompt at a time."""

import pytest
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    LEDConfig,
    M2M100Config,
    MarianConfig,
    MBartConfig,
    PegasusConfig,
    T5Config,
)

from limbeck.inference.generate import generate
from limbeck.inference.request import TokenIds
from tests.tiny import random_ids, seeded

V, NEW = 60, 8
SIZES = {
    "vocab_size": V, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "init_std": 0.4,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
T5 = {"vocab_size": V, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
LONG = {
    "max_encoder_position_embeddings": 128,
    "max_decoder_position_embeddings": 128,
    "attention_window": [8, 8],
}
CONFIGS = {
    "bart": BartConfig(**SIZES, decoder_start_token_id=2),
    "mbart": MBartConfig(**SIZES, decoder_start_token_id=9),
    "marian": MarianConfig(**SIZES, decoder_start_token_id=1),
    "m2m100": M2M100Config(**SIZES, decoder_start_token_id=2),  # NLLB's class
    "pegasus": PegasusConfig(**SIZES, decoder_start_token_id=1),
    "led": LEDConfig(**SIZES, **LONG, decoder_start_token_id=2),
    "t5": T5Config(**T5, decoder_start_token_id=0, initializer_factor=3.0),
}
PROMPTS = [random_ids(size, vocab=V, seed=size).tolist() for size in (3, 30, 11, 11, 7)]


def made(name):
    model = seeded(AutoModelForSeq2SeqLM.from_config, CONFIGS[name], 0)
    model.generation_config.forced_eos_token_id = None  # a mark at the limit is no end
    return model


def plainly(model, prompt, **settings):
    limits = {"max_new_tokens": NEW, "do_sample": False, "num_beams": 1, "eos_token_id": None}
    return model.generate(torch.tensor([prompt]), **limits, **settings)[0, 1:].tolist()


@pytest.mark.parametrize("name", CONFIGS)
def test_completions_are_those_of_plain_transformers(name):
    model = made(name)
    expected = [plainly(model, prompt) for prompt in PROMPTS]
    assert len(set(map(tuple, expected))) > 1
    found = generate(model, PROMPTS, tokenizer_or_ids=TokenIds((), 1), max_new_tokens=NEW)
    assert [one.ids for one in found] == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"forced_bos_token_id": 7},
        {"bad_words_ids": [[5], [6]]},
        {"suppress_tokens": list(range(3, 40))},
        {"begin_suppress_tokens": list(range(3, 40))},
    ],
)
def test_what_a_model_must_begin_with_or_never_write_is_kept(settings):
    model = made("bart")
    free = generate(model, PROMPTS, tokenizer_or_ids=TokenIds((), 1), max_new_tokens=NEW)
    for name, value in settings.items():
        setattr(model.generation_config, name, value)
    found = generate(model, PROMPTS, tokenizer_or_ids=TokenIds((), 1), max_new_tokens=NEW)
    assert [one.ids for one in found] == [plainly(model, prompt) for prompt in PROMPTS]
    assert found != free or "bad_words_ids" in settings


def test_lengths_beams_and_penalties_of_the_folder_play_no_part():
    model = made("bart")
    free = generate(model, PROMPTS, tokenizer_or_ids=TokenIds((2,), 1), max_new_tokens=NEW)
    odd = {
        "max_length": 3, "min_length": 5, "min_new_tokens": 6, "num_beams": 4, "length_penalty": 2.0,
        "no_repeat_ngram_size": 2, "repetition_penalty": 9.0, "early_stopping": True,
        "forced_eos_token_id": 2, "return_dict_in_generate": True, "use_cache": False,
    }  # fmt: skip
    for name, value in odd.items():
        setattr(model.generation_config, name, value)
    assert generate(model, PROMPTS, tokenizer_or_ids=TokenIds((2,), 1), max_new_tokens=NEW) == free
