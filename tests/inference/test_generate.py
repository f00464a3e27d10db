"""Completions of tiny random models against one prompt at a time."""

import warnings

import pytest
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from limbeck.core.errors import ConfigError, ModelError
from limbeck.inference.generate import generate
from limbeck.inference.request import Completion, TokenIds

IDS = TokenIds(eos=(2,), pad=0)
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13], [14, 15]]


def causal(context=64):
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=context, initializer_range=0.3, pad_token_id=0,
        )
    )  # fmt: skip


def one_by_one(model, prompt, *, new, stop):
    ids = list(prompt)
    for _ in range(new):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] in stop:
            break
    return ids[len(prompt) :]


def test_greedy_completions_are_those_of_each_prompt_alone_in_the_order_of_the_prompts():
    model = causal().eval()
    expected = [one_by_one(model, prompt, new=8, stop=()) for prompt in PROMPTS]
    for batch_tokens in (1, 30, 10_000):
        found = generate(
            model, PROMPTS, tokenizer_or_ids=TokenIds(eos=()), max_new_tokens=8, batch_tokens=batch_tokens
        )
        assert [completion.ids for completion in found] == expected
        assert not any(completion.stopped for completion in found)


def test_nothing_follows_the_end_token_of_a_row():
    model = causal().eval()
    free = [one_by_one(model, prompt, new=8, stop=()) for prompt in PROMPTS]
    stop = free[0][3]
    found = generate(model, PROMPTS, tokenizer_or_ids=TokenIds(eos=(stop,)), max_new_tokens=8)
    for completion, whole in zip(found, free, strict=True):
        cut = whole[: whole.index(stop) + 1] if stop in whole else whole
        assert completion == Completion(cut, stop in whole)
    assert found[0].content == found[0].ids[:-1]


def test_the_sampling_settings_stored_with_the_model_play_no_part_and_are_kept():
    model = causal()
    plain = generate(model, PROMPTS, tokenizer_or_ids=IDS, max_new_tokens=8)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=9.0, top_k=3, repetition_penalty=5.0, max_length=4, eos_token_id=7
    )
    stored = model.generation_config
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert generate(model, PROMPTS, tokenizer_or_ids=IDS, max_new_tokens=8) == plain
    assert model.generation_config is stored


def test_the_mode_of_every_module_is_given_back():
    model = causal().train()
    model.model.layers[0].eval()
    generate(model, PROMPTS, tokenizer_or_ids=IDS, max_new_tokens=2)
    assert model.training and not model.model.layers[0].training


def test_sampling_repeats_with_the_seed_and_leaves_the_global_generator_alone():
    model = causal()
    state = torch.get_rng_state()
    settings = {"tokenizer_or_ids": IDS, "max_new_tokens": 12, "sampling_temperature": 1.5}
    first = generate(model, PROMPTS, seed=1, **settings)
    assert torch.equal(torch.get_rng_state(), state)
    assert generate(model, PROMPTS, seed=1, **settings) == first
    assert generate(model, PROMPTS, seed=2, **settings) != first


def test_ids_beyond_the_shared_vocabulary_are_never_written():
    found = generate(
        causal(),
        PROMPTS,
        tokenizer_or_ids=TokenIds(()),
        max_new_tokens=12,
        vocabulary=6,
        sampling_temperature=3.0,
    )
    assert all(token < 6 for completion in found for token in completion.ids)


def test_a_seq2seq_model_answers_its_encoder_prompts():
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=40, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, decoder_start_token_id=0
        )
    ).eval()
    found = generate(model, PROMPTS, tokenizer_or_ids=TokenIds(()), max_new_tokens=6)
    for prompt, completion in zip(PROMPTS, found, strict=True):
        decoder = [0]
        for _ in range(6):
            logits = model(torch.tensor([prompt]), decoder_input_ids=torch.tensor([decoder])).logits
            decoder.append(int(logits[0, -1].argmax()))
        assert completion.ids == decoder[1:]


def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers():
    with pytest.raises(ModelError, match=r"context of 8 tokens, got 5 \+ 4"):
        generate(causal(context=8), PROMPTS, tokenizer_or_ids=IDS, max_new_tokens=4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1"),
        ({"max_new_tokens": 1, "sampling_temperature": -1.0}, "sampling_temperature must be 0 or above"),
        ({"max_new_tokens": 1, "top_p": 0.0}, r"top_p must lie in \(0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        generate(causal(), PROMPTS, tokenizer_or_ids=IDS, **settings)


def test_an_empty_prompt_is_refused():
    with pytest.raises(ConfigError, match="at least one token, got none in prompt 1"):
        generate(causal(), [[1], []], tokenizer_or_ids=IDS, max_new_tokens=1)
