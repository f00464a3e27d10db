"""The longest row a model can read, against what its embedding takes."""

import pytest
import torch
from transformers import (
    AutoModel,
    BertConfig,
    BloomConfig,
    FalconConfig,
    GPT2Config,
    LlamaConfig,
    LongformerConfig,
    MPNetConfig,
    MptConfig,
    OPTConfig,
    RobertaConfig,
    T5Config,
    XLMRobertaConfig,
)

from limbeck.core.positions import positions_of
from tests.tiny import seeded

SIZES = {
    "vocab_size": 320, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "max_position_embeddings": 20, "pad_token_id": 1,
}  # fmt: skip
STRETCHED = {"rope_type": "dynamic", "factor": 4.0}
TABLES = {
    "bert": BertConfig(**SIZES),
    "roberta": RobertaConfig(**SIZES),
    "xlm-roberta": XLMRobertaConfig(**SIZES),
    "padding at 4": RobertaConfig(**{**SIZES, "pad_token_id": 4}),
    "mpnet": MPNetConfig(**SIZES),
    "gpt2": GPT2Config(vocab_size=320, n_embd=16, n_layer=1, n_head=2, n_positions=20),
    "opt": OPTConfig(**SIZES, ffn_dim=16, word_embed_proj_dim=16),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_takes_so_many_and_not_one_more(name):
    model, limit = seeded(AutoModel.from_config, TABLES[name], 0), positions_of(TABLES[name])
    with torch.no_grad():
        model(torch.full((1, limit), 7))
        with pytest.raises((IndexError, RuntimeError)):
            model(torch.full((1, limit + 1), 7))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (T5Config(), None),
        (BloomConfig(), None),
        (FalconConfig(alibi=True), None),
        (MptConfig(), None),
        (LongformerConfig(max_position_embeddings=4098, pad_token_id=1), 4096),
        (LlamaConfig(max_position_embeddings=2048), 2048),
        (
            LlamaConfig(max_position_embeddings=64, rope_parameters={"rope_type": "dynamic", "factor": 4.0}),
            256,
        ),
    ],
)
def test_positions_without_a_table(config, expected):
    assert positions_of(config) == expected
