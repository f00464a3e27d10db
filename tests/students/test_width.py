"""Cutting width: exact where nothing is lost, and plain transformers loads what is left."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from limbeck.core.errors import ModelError
from limbeck.core.models import count_parameters, save_model
from limbeck.students import keep_units, measure_importance
from tests.students.pruned import IDS, PRUNABLE, batch_of, outputs, uneven_norms
from tests.tiny import tiny_gpt2, tiny_llama

ATOL = 1e-5
HIDDEN, GROUPS, NEURONS = 32, 2, 64


def shuffled(count, seed):
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize("build", PRUNABLE)
def test_all_units_in_another_order_give_the_same_outputs(build):
    model = uneven_norms(build())
    energies = measure_importance(model, [batch_of(IDS)]).width.energies
    same = keep_units(
        model,
        hidden=shuffled(HIDDEN, 1),
        groups=[shuffled(GROUPS, seed) for seed in (2, 3, 4)],
        neurons=[shuffled(NEURONS, seed) for seed in (5, 6, 7)],
        energies=energies,
    )
    torch.testing.assert_close(outputs(same), outputs(model), atol=ATOL, rtol=ATOL)


@pytest.mark.parametrize("build", PRUNABLE)
def test_heads_and_neurons_that_give_nothing_leave_without_a_difference(build):
    model = build()
    kept = [sorted(shuffled(NEURONS, layer)[:40]) for layer in range(3)]
    groups = [[1], [0], [1]]
    with torch.no_grad():
        for layer, neurons, (group,) in zip(model.model.layers, kept, groups, strict=True):
            dead = [unit for unit in range(NEURONS) if unit not in neurons]
            layer.mlp.down_proj.weight[:, dead] = 0
            half = layer.self_attn.o_proj.weight.shape[1] // 2
            layer.self_attn.o_proj.weight[:, (1 - group) * half : (2 - group) * half] = 0
    cut = keep_units(model, groups=groups, neurons=kept)
    torch.testing.assert_close(outputs(cut), outputs(model), atol=ATOL, rtol=ATOL)
    config = cut.config
    assert (config.intermediate_size, config.num_attention_heads, config.num_key_value_heads) == (40, 2, 1)


@pytest.mark.parametrize("build", PRUNABLE)
def test_empty_hidden_units_leave_without_a_difference_once_norms_are_put_back(build):
    # RMSNorm divides by the units that are there: 8 empty ones of 32 make its output larger by sqrt(4 / 3).
    model = build()
    kept = sorted(shuffled(HIDDEN, 1)[:24])
    dead = [unit for unit in range(HIDDEN) if unit not in kept]
    with torch.no_grad():
        model.model.embed_tokens.weight[:, dead] = 0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[dead] = 0
            layer.mlp.down_proj.weight[dead] = 0
    energies = measure_importance(model, [batch_of(IDS)]).width.energies
    cut = keep_units(model, hidden=kept, energies=energies)
    # Not to rounding: the epsilon inside the root is a share of the mean, which changes.
    torch.testing.assert_close(outputs(cut), outputs(model), atol=5e-4, rtol=1e-3)
    plain = keep_units(model, hidden=kept)
    assert not torch.allclose(outputs(plain), outputs(model), atol=1e-2)
    torch.testing.assert_close(
        cut.model.norm.weight, plain.model.norm.weight * (4 / 3) ** 0.5, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("build", PRUNABLE)
def test_what_is_left_is_saved_and_loaded_by_plain_transformers(build, tmp_path):
    model = build()
    cut = keep_units(
        model, hidden=range(20), groups=[[1]] * 3, neurons=[range(layer, 30 + layer) for layer in range(3)]
    )
    loaded = AutoModelForCausalLM.from_pretrained(save_model(cut, None, tmp_path / "cut"))
    assert type(loaded) is type(model)
    assert torch.equal(outputs(loaded), outputs(cut))
    config = loaded.config
    assert (config.hidden_size, config.intermediate_size) == (20, 30)
    assert (config.num_attention_heads, config.num_key_value_heads) == (2, 1)
    assert config.head_dim == model.model.layers[0].self_attn.head_dim
    assert loaded.generate(IDS, max_new_tokens=2, do_sample=False).shape[1] >= IDS.shape[1]
    assert count_parameters(cut) < count_parameters(model)


def test_the_model_that_is_cut_stays_as_it_is():
    model = tiny_llama()
    before, config = outputs(model), model.config.to_dict()
    keep_units(model, hidden=range(8))
    assert torch.equal(outputs(model), before)
    assert model.config.to_dict() == config


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"hidden": [0, 0]}, r"hidden must be numbers from 0 to 31, each once, at least one, got \[0, 0\]"),
        ({"hidden": [32]}, r"hidden must be numbers from 0 to 31"),
        ({"hidden": []}, r"at least one, got \[\]"),
        ({"groups": [[0]]}, "groups must be given for each of 2 layers, got 1 lists"),
        ({"neurons": [[0], [0, 1]]}, r"neurons must be equally many in every layer, got 1, 2"),
        ({"energies": torch.ones(3, 32)}, r"energies must be \[5, 32\], got \[3, 32\]"),
    ],
)
def test_units_that_cannot_be_kept_are_refused(kept, message):
    with pytest.raises(ModelError, match=message):
        keep_units(tiny_llama(), **kept)


def test_other_architectures_are_refused_by_name():
    with pytest.raises(ModelError, match=r"must be llama, mistral, qwen2 or qwen3 to lose width, got gpt2"):
        keep_units(tiny_gpt2(), hidden=range(8))


def test_a_model_with_foreign_weights_is_refused():
    model = tiny_llama()
    model.model.layers[0].mlp.register_parameter("scale", torch.nn.Parameter(torch.ones(1)))
    with pytest.raises(ModelError, match=r"plain llama, .* got model\.layers\.0\.mlp\.scale"):
        keep_units(model, hidden=range(8))
