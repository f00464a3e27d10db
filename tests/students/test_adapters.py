"""LoRA: nothing changes before training, only the adapters learn, merging keeps the function."""

import sys

import pytest
import torch
from transformers import AutoModelForCausalLM, JambaConfig, Mamba2Config, MambaConfig, RecurrentGemmaConfig

from limbeck.core.errors import ModelError, UserError
from limbeck.core.models import count_parameters, save_model
from limbeck.students import add_lora, merge_lora, said_of_lora
from tests.tiny import random_ids, seeded, tiny_bert, tiny_classifier, tiny_gpt2, tiny_llama, tiny_t5

SETTINGS = {"r": 2, "alpha": 4, "dropout": 0.0}


def answer(model):
    ids = random_ids(2, 5)
    decoder = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        return model(input_ids=ids, **decoder)[0]


def trained(model):
    """The adapted model after some change of every adapter weight."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data.add_(torch.randn(parameter.shape, generator=generator))
    return model.eval()


@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2, tiny_t5, tiny_bert, tiny_classifier])
def test_new_adapters_change_nothing_and_alone_are_trained(build):
    before = answer(build())
    model = add_lora(build(), target_modules="all-linear", **SETTINGS).eval()
    torch.testing.assert_close(answer(model), before)
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    head = [name for name in trainable if "lora_" not in name]
    assert trainable and all("classifier" in name for name in head)
    assert bool(head) == (build is tiny_classifier)


@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2, tiny_t5, tiny_classifier])
def test_merging_keeps_the_function_and_leaves_the_adapted_model_alone(build):
    # In float64, so that all that may differ is the function.
    model = trained(add_lora(build(), target_modules="all-linear", **SETTINGS)).double()
    before = answer(model)
    merged = merge_lora(model)
    assert type(merged) is type(build())
    torch.testing.assert_close(answer(merged), before, atol=1e-9, rtol=1e-9)
    assert torch.equal(answer(model), before)
    assert any("lora_" in name for name, _ in model.named_parameters())
    assert all(parameter.requires_grad for parameter in merged.parameters())


def test_the_merged_weight_is_the_old_one_and_the_scaled_product():
    # W' = W + alpha / r * B A.
    plain = tiny_llama()
    old = plain.model.layers[0].self_attn.q_proj.weight.detach().clone()
    model = trained(add_lora(plain, target_modules=["q_proj"], **SETTINGS))
    weights = dict(model.named_parameters())
    place = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.default.weight"
    product = weights[place.format("B")] @ weights[place.format("A")]
    merged = merge_lora(model).model.layers[0].self_attn.q_proj.weight
    torch.testing.assert_close(merged, old + 4 / 2 * product)


def test_a_model_without_adapters_is_its_own_merger():
    model = tiny_llama()
    assert merge_lora(model) is model


def test_an_adapted_model_is_saved_merged(tmp_path):
    model = trained(add_lora(tiny_llama(), target_modules=["q_proj", "v_proj"], **SETTINGS))
    save_model(model, None, tmp_path / "student")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "student")
    assert not torch.allclose(answer(loaded), answer(tiny_llama()), atol=1e-2)
    # Sums of float32 in another order: logits here reach several units.
    torch.testing.assert_close(answer(loaded), answer(model), atol=1e-3, rtol=1e-3)


def test_a_name_that_no_layer_has_is_refused_even_beside_a_right_one():
    with pytest.raises(ModelError, match=r"LlamaForCausalLM, got 'v_prj'\. Did you mean 'v_proj'\?"):
        add_lora(tiny_llama(), target_modules=["q_proj", "v_prj"], **SETTINGS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"r": 0}, "r must be at least 1, got 0"), ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0")],
)
def test_numbers_out_of_range_are_refused(wrong, message):
    with pytest.raises(ModelError, match=message):
        add_lora(tiny_llama(), target_modules=["q_proj"], **(SETTINGS | wrong))


def test_without_peft_the_user_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"pip install limbeck\[peft\]"):
        add_lora(tiny_llama(), target_modules=["q_proj"], **SETTINGS)


@pytest.mark.parametrize("targets", [["lm_head"], ["q_proj", "lm_head"]])
def test_a_head_that_is_tied_to_the_embedding_is_refused(targets):
    with pytest.raises(ModelError, match=r"got 'lm_head'; it shares its weight.*Leave it out"):
        add_lora(tiny_llama(tie_word_embeddings=True), target_modules=targets, **SETTINGS)
    add_lora(tiny_llama(), target_modules=targets, **SETTINGS)


def small(kind, **fields):
    return kind(vocab_size=320, hidden_size=32, num_hidden_layers=2, **fields)


ODD = {
    "mamba": small(MambaConfig, state_size=4),
    "mamba2": small(Mamba2Config, num_heads=8, head_dim=8, state_size=8, n_groups=1),
    # Reads the weight of dt_proj without calling it.
    "jamba": small(
        JambaConfig,
        intermediate_size=48,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_experts=2,
        use_mamba_kernels=False,
        attn_layer_period=2,
        attn_layer_offset=1,
    ),
    # Keeps its last state, a tensor of autograd.
    "recurrent_gemma": RecurrentGemmaConfig(
        vocab_size=320,
        hidden_size=32,
        num_hidden_layers=3,
        intermediate_size=48,
        num_attention_heads=2,
        num_key_value_heads=1,
        lru_width=32,
        attention_window_size=32,
    ),
    "tied": tiny_llama(tie_word_embeddings=True).config,
}


@pytest.mark.parametrize("name", ODD)
def test_all_linear_takes_every_layer_that_merging_can_speak_for(name):
    model = seeded(AutoModelForCausalLM.from_config, ODD[name], seed=0)
    untouched = answer(model)
    adapted = add_lora(model, target_modules="all-linear", **SETTINGS).eval()
    torch.testing.assert_close(answer(adapted), untouched, atol=1e-5, rtol=1e-5)
    adapted = trained(adapted)
    before = adapted(input_ids=random_ids(2, 5)).logits
    before.sum().backward()
    merged = merge_lora(adapted)
    torch.testing.assert_close(merged(input_ids=random_ids(2, 5)).logits, before, atol=1e-3, rtol=1e-3)
    dead = [key for key, one in adapted.named_parameters() if "lora_A" in key and not one.grad.abs().any()]
    assert not dead


def test_a_layer_whose_weight_is_read_past_the_adapter_is_refused_by_name():
    model = seeded(AutoModelForCausalLM.from_config, ODD["jamba"], seed=0)
    with pytest.raises(ModelError, match="got 'dt_proj'; the model reads its weight without calling it"):
        add_lora(model, target_modules=["dt_proj"], **SETTINGS)


def test_what_is_trained_is_said_and_known_without_weights():
    model = add_lora(tiny_llama(), target_modules=["q_proj"], **SETTINGS)
    # Two layers of q_proj, 32 x 32: each A 2 x 32 and B 32 x 2.
    expected = (
        f"LoRA of rank 2 on 2 layers: 256 weights are trained, {count_parameters(tiny_llama()):,} lie beneath"
    )
    assert said_of_lora(model, r=2).startswith(expected)
    with torch.device("meta"):
        same = add_lora(type(tiny_llama())(tiny_llama().config), target_modules=["q_proj"], **SETTINGS)
    assert said_of_lora(same, r=2) == said_of_lora(model, r=2)
