"""Tiny models of every architecture that loses width, batches to measure them on, and outputs to compare."""

import torch
from transformers import (
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from limbeck.core.batch import Batch
from tests.tiny import random_ids, seeded, tiny_llama

SIZES = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,
}
IDS = random_ids(2, 11, seed=7)


def tiny_qwen2():
    """Biases on q, k and v; its configuration names no head_dim."""
    model = seeded(Qwen2ForCausalLM, Qwen2Config(**SIZES, tie_word_embeddings=True), 0)
    for layer in model.model.layers:
        for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
            torch.nn.init.normal_(projection.bias, generator=torch.Generator().manual_seed(1))
    return model


def tiny_qwen3():
    """Norms over the channels of a head, and heads wider than hidden_size / heads."""
    return seeded(Qwen3ForCausalLM, Qwen3Config(**SIZES, head_dim=12, tie_word_embeddings=False), 0)


def tiny_mistral():
    """Grouped heads and a sliding window."""
    return seeded(MistralForCausalLM, MistralConfig(**SIZES, sliding_window=4), 0)


def uneven_norms(model):
    """`model` with norm weights that differ, so that a unit in the wrong place shows."""
    generator = torch.Generator().manual_seed(3)
    for name, weight in model.named_parameters():
        if name.endswith("norm.weight"):
            torch.nn.init.uniform_(weight, 0.5, 1.5, generator=generator)
    return model


PRUNABLE = [lambda: tiny_llama(layers=3), lambda: tiny_llama(layers=3, tie_word_embeddings=True)]
PRUNABLE += [tiny_qwen2, tiny_qwen3, tiny_mistral]


def batch_of(ids, **inputs):
    """A batch that predicts each next token."""
    return Batch(inputs={"input_ids": ids[:, :-1], **inputs}, targets=ids[:, 1:], row_ids=[["r"]] * len(ids))


def outputs(model, ids=IDS):
    """Logits without gradients."""
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False).logits
