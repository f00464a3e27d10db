"""Models that cannot be written with as Llama can: every prompt still gets what it gets alone."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    JambaConfig,
    MambaConfig,
    OpenAIGPTConfig,
    Phi3Config,
    RecurrentGemmaConfig,
    RobertaConfig,
    RwkvConfig,
)

from limbeck.inference.generate import generate
from limbeck.inference.request import TokenIds
from limbeck.inference.sample import sample
from limbeck.inference.stepping import stepping
from tests.tiny import random_ids, seeded, tiny_gpt2, tiny_llama

V, NEW = 60, 6
SIZES = {"vocab_size": V, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = SIZES | {"intermediate_size": 64, "max_position_embeddings": 128}
CONFIGS = {
    # Positions from the width of the batch.
    "bart": BartConfig(
        vocab_size=V, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=128,
        is_decoder=True, is_encoder_decoder=False, dropout=0.0,
    ),
    # A state that ignores the mask, and that transformers hands on under no name `generate` knows.
    "rwkv": RwkvConfig(
        vocab_size=V, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32, intermediate_size=64
    ),
    # No attention cache; a cache of two kinds of layers; a state inside the modules; no cache at all.
    "mamba": MambaConfig(vocab_size=V, hidden_size=32, num_hidden_layers=2, state_size=8),
    "jamba": JambaConfig(
        **WIDE, num_key_value_heads=2, attn_layer_period=2, attn_layer_offset=1, num_experts=2,
        expert_layer_period=2, expert_layer_offset=1, use_mamba_kernels=False, mamba_d_state=8,
    ),
    "recurrent_gemma": RecurrentGemmaConfig(
        **WIDE | {"num_hidden_layers": 3}, num_key_value_heads=2, lru_width=32, attention_window_size=16,
        head_dim=8,
    ),
    "openai": OpenAIGPTConfig(vocab_size=V, n_embd=32, n_layer=2, n_head=4, n_positions=128),
    # Positions that `generate` counts otherwise than a forward pass.
    "roberta": RobertaConfig(**WIDE, is_decoder=True, pad_token_id=1),
    # Other rotary factors for all rows as soon as one is long.
    "phi3": Phi3Config(
        **WIDE, num_key_value_heads=2, original_max_position_embeddings=24, pad_token_id=0,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 24,
            "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
        },
    ),
}  # fmt: skip


def made(name):
    model = seeded(AutoModelForCausalLM.from_config, CONFIGS[name], 0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(3.0)
    return model


def alone(model, prompt):
    ids = list(prompt)
    for _ in range(NEW):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_prompt_gets_what_it_gets_alone_whatever_shares_its_batch(name):
    model = made(name)
    prompts = [random_ids(size, vocab=V, seed=size).tolist() for size in (3, 30, 11, 21)]
    prompts.append(prompts[2][::-1])
    expected = [alone(model, prompt) for prompt in prompts]
    assert len(set(map(tuple, expected))) > 1  # else the prompt does not matter
    options = {"tokenizer_or_ids": TokenIds((), 2), "max_new_tokens": NEW}
    assert [one.ids for one in generate(model, prompts, **options)] == expected
    assert [one.ids for one in sample(model, prompts, sampling_temperature=0.0, **options)] == expected


def test_rows_that_stop_leave_the_others_as_they_are():
    model = made("mamba")
    prompts = [random_ids(4, vocab=V, seed=seed).tolist() for seed in range(6)]
    free = [alone(model, prompt) for prompt in prompts]
    stop = free[0][1]
    found = sample(
        model, prompts, tokenizer_or_ids=TokenIds((stop,), 2), max_new_tokens=NEW, sampling_temperature=0.0
    )
    expected = [ids[: ids.index(stop) + 1] if stop in ids else ids for ids in free]
    assert [one.ids for one in found] == expected
    assert {len(ids) for ids in expected} != {NEW}


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
def test_models_that_read_masks_are_padded_and_cached(make):
    found = stepping(make())
    assert found.padded and found.stepper.__name__ == "Cached"


def test_a_model_is_asked_once(monkeypatch):
    model = made("mamba")
    first = stepping(model)
    monkeypatch.setattr(model, "forward", None)
    assert stepping(model) is first
