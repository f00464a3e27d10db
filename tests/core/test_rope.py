"""Frequencies that follow the length: a row has its own logits, whatever is read beside or before."""

import copy

import pytest
import torch
from transformers import LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from limbeck.core.forward_model import ForwardModel, project
from limbeck.core.needs import DISTRIBUTION
from limbeck.rows.packable import reads_packs
from tests.tiny import random_ids, seeded, tiny_llama

ORIGINAL = 12


def longrope():
    config = Phi3Config(
        vocab_size=320, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.3, pad_token_id=0, max_position_embeddings=64,
        original_max_position_embeddings=ORIGINAL,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4,
            "long_factor": [4.0] * 4, "original_max_position_embeddings": ORIGINAL,
        },
    )  # fmt: skip
    return seeded(Phi3ForCausalLM, config, 0)


def dynamic():
    config = tiny_llama(
        max_position_embeddings=ORIGINAL,
        rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
    ).config
    return seeded(LlamaForCausalLM, config, 0)


def alone(build, row):
    """What plain transformers gives a row in a fresh model."""
    with torch.no_grad():
        return build()(row[None], use_cache=False).logits[0]


def logits(outputs):
    return project(outputs.hidden, outputs.head)


@pytest.mark.parametrize("build", [longrope, dynamic])
def test_rows_of_a_batch_and_of_a_pack_read_as_alone(build):
    rows = [random_ids(size, seed=size) for size in (5, 30, ORIGINAL, ORIGINAL + 1, 20, 30)]
    expected = [alone(build, row) for row in rows]
    assert not torch.allclose(
        alone(build, rows[1])[:5], alone(build, rows[1][:5]), atol=1e-2
    )  # length counts
    reader, needs = ForwardModel(build()).probe(), DISTRIBUTION
    assert reader.projects
    longest = max(len(row) for row in rows)
    padded = torch.stack([torch.cat([row, row.new_zeros(longest - len(row))]) for row in rows])
    mask = torch.stack([(torch.arange(longest) < len(row)).long() for row in rows])
    packed = torch.cat([*rows, rows[0].new_zeros(3)])[None]
    places = torch.cat([*(torch.arange(len(row)) for row in rows), torch.zeros(3, dtype=torch.long)])[None]
    with torch.no_grad():
        batch = logits(reader.read({"input_ids": padded, "attention_mask": mask}, needs))
        pack = logits(reader.read({"input_ids": packed, "position_ids": places}, needs))[0]
        short = logits(reader.read({"input_ids": rows[0][None]}, needs))[0]  # after long ones
    torch.testing.assert_close(short, expected[0], atol=1e-4, rtol=1e-4)
    start = 0
    for number, (row, own) in enumerate(zip(rows, expected, strict=True)):
        torch.testing.assert_close(batch[number, : len(row)], own, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(pack[start : start + len(row)], own, atol=1e-4, rtol=1e-4)
        start += len(row)


@pytest.mark.parametrize("build", [longrope, dynamic])
def test_such_models_may_be_packed_and_copied(build):
    model = build()
    assert reads_packs(model, 320)
    row = random_ids(30, seed=1)
    with torch.no_grad():
        again = copy.deepcopy(model)(row[None], use_cache=False).logits[0]
    torch.testing.assert_close(again, alone(build, row), atol=1e-5, rtol=1e-5)
