"""Models of pictures and text: their language part alone is loaded, exactly, and saved as a plain model."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Llama4Config,
    Llama4ForConditionalGeneration,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

from limbeck.core.forward_model import ForwardModel
from limbeck.core.models import check_weights, kind_of, load_model, read_config, save_model, text_part_note
from limbeck.core.models.config import raw_config
from tests.tiny import VOCABULARY, random_ids, seeded, tiny_llama

SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
    "initializer_range": 0.2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
TEXT = {**SIZES, "head_dim": 8}
SEES = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 16, "patch_size": 8,
}  # fmt: skip
AXES = {"rope_parameters": {"rope_type": "default", "rope_theta": 5000.0, "mrope_section": [2, 1, 1]}}
QWEN = {
    "depth": 1,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_heads": 2,
    "out_hidden_size": 32,
    "patch_size": 8,
}
IMAGE = VOCABULARY - 1
TOKENS = dict.fromkeys(
    ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id"), IMAGE
)

WHOLE = {
    "Gemma3ForCausalLM": lambda: (
        Gemma3ForConditionalGeneration,
        Gemma3Config(text_config=TEXT, vision_config=SEES, mm_tokens_per_image=4, image_token_index=IMAGE),
    ),
    "MistralForCausalLM": lambda: (
        Mistral3ForConditionalGeneration,
        Mistral3Config(
            text_config={**TEXT, "model_type": "mistral"},
            vision_config={**SEES, "model_type": "pixtral", "head_dim": 8},
            image_token_index=IMAGE,
        ),
    ),
    "Qwen2ForCausalLM": lambda: (
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLConfig(
            text_config={**SIZES, **AXES}, vision_config={**QWEN, "fullatt_block_indexes": [0]}, **TOKENS
        ),
    ),
    "Qwen3ForCausalLM": lambda: (
        Qwen3VLForConditionalGeneration,
        Qwen3VLConfig(
            text_config={**TEXT, **AXES},
            vision_config={**QWEN, "deepstack_visual_indexes": [0], "num_position_embeddings": 16},
            **TOKENS,
        ),
    ),
    "LlamaForCausalLM": lambda: (
        LlavaForConditionalGeneration,
        LlavaConfig(
            text_config={**TEXT, "model_type": "llama"},
            vision_config={**SEES, "projection_dim": 16, "model_type": "clip_vision_model"},
            image_token_index=IMAGE,
        ),
    ),
    "LlamaForCausalLM of SmolVLM": lambda: (
        SmolVLMForConditionalGeneration,
        SmolVLMConfig(
            text_config={**TEXT, "model_type": "llama"},
            vision_config={**SEES, "model_type": "smolvlm_vision"},
            image_token_id=IMAGE,
            scale_factor=2,
        ),
    ),
    "Llama4ForCausalLM": lambda: (
        Llama4ForConditionalGeneration,
        Llama4Config(
            text_config={
                **TEXT, "intermediate_size_mlp": 48, "num_local_experts": 2, "num_experts_per_tok": 1
            },
            vision_config={
                **SEES, "vision_output_dim": 32, "projector_input_dim": 32, "projector_output_dim": 32
            },
            image_token_index=IMAGE,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_the_language_part_has_the_logits_of_the_whole_and_is_saved_as_a_plain_model(name, tmp_path):
    whole = seeded(*WHOLE[name](), seed=0)
    whole.save_pretrained(tmp_path / "whole")
    config = read_config(tmp_path / "whole")
    assert kind_of(config) == "causal" and config.architectures == [name.split()[0]]
    check_weights(tmp_path / "whole", "causal")
    part = load_model(tmp_path / "whole", "causal")
    ids = random_ids(2, 9)
    with torch.no_grad():
        expected = whole(input_ids=ids).logits
        torch.testing.assert_close(part(ids).logits, expected, atol=1e-4, rtol=1e-4)
        save_model(part, None, tmp_path / "part")
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / "part")
        torch.testing.assert_close(plain(ids).logits, expected, atol=1e-4, rtol=1e-4)
    assert type(plain).__name__ == name.split()[0]
    assert ForwardModel(part).probe().projects
    assert "the language part is read alone" in text_part_note(raw_config(tmp_path / "whole"))


def test_a_model_of_text_is_itself():
    assert text_part_note(tiny_llama().config) is None
