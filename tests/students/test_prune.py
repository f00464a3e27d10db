"""Pruned sizes from words and ratios, and which parts stay."""

import dataclasses

import pytest
import torch
from transformers import AutoModelForCausalLM, MistralConfig

from limbeck.core.errors import ModelError
from limbeck.core.models import count_parameters, estimate_parameters, save_model
from limbeck.students import (
    PrunedSizes,
    keep_units,
    measure_importance,
    prune,
    pruned_config,
    sizes_from_ratio,
    sizes_from_words,
)
from tests.students.pruned import IDS, PRUNABLE, batch_of, outputs, tiny_mistral
from tests.tiny import tiny_gpt2, tiny_llama

LARGE = {
    "hidden_size": 2048,
    "intermediate_size": 5504,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "num_hidden_layers": 24,
}


def large(vocabulary, **changes):
    return MistralConfig(**LARGE | changes, vocab_size=vocabulary, tie_word_embeddings=False)


def found_on(model):
    return measure_importance(model, [batch_of(IDS)])


def test_without_a_vocabulary_each_axis_loses_what_the_paper_says():
    # 1 - sqrt(1 - 0.6) = 0.3675, so that 0.6325 of each axis stays: 1295, 3481 and 20.2 of it, rounded.
    sizes = sizes_from_ratio(large(8), 0.6)
    assert sizes.hidden_size / 2048 == pytest.approx(0.6325, abs=0.01)
    assert sizes.intermediate_size / 5504 == pytest.approx(0.6325, abs=0.01)
    assert sizes.num_key_value_heads == 20
    assert sizes.num_hidden_layers is None


@pytest.mark.parametrize("ratio", [0.2, 0.4, 0.6, 0.8])
@pytest.mark.parametrize("vocabulary", [8, 32_000, 152_000])
def test_what_is_left_is_the_share_that_was_asked_for_embeddings_included(vocabulary, ratio):
    config = large(vocabulary)
    sizes = sizes_from_ratio(config, ratio)
    left = estimate_parameters(pruned_config(config, sizes), "causal")
    assert left == pytest.approx((1 - ratio) * estimate_parameters(config, "causal"), rel=0.02)
    assert sizes.hidden_size % 8 == sizes.intermediate_size % 8 == 0


def test_a_large_vocabulary_is_paid_for_by_all_axes():
    # E = 2 * 152,000 * 2048 = 622.6M, I = 24 * (4 * 2048^2 + 3 * 2048 * 5504) = 1214.3M:
    # E k + I k^2 = 0.4 (E + I) has the root k = 0.5631; without the vocabulary it was 0.6325.
    sizes = sizes_from_ratio(large(152_000), 0.6)
    assert sizes.hidden_size / 2048 == pytest.approx(0.5631, abs=0.01)
    assert sizes.intermediate_size / 5504 == pytest.approx(0.5631, abs=0.02)


def test_a_ratio_that_no_shape_has_is_refused_with_the_nearest():
    with pytest.raises(
        ModelError, match=r"ratio: must leave .* got 0\.999, which asks for .* the nearest shape has"
    ):
        sizes_from_ratio(tiny_llama().config, 0.999)


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, 2.0])
def test_a_ratio_outside_the_open_interval_is_refused(ratio):
    with pytest.raises(ModelError, match=r"ratio must lie in \(0, 1\)"):
        sizes_from_ratio(tiny_llama().config, ratio)


def test_query_heads_go_with_the_key_value_heads_they_read():
    config = tiny_llama().config  # 4 heads, 2 key-value heads
    assert sizes_from_words(config, {"num_attention_heads": 2}) == PrunedSizes(num_key_value_heads=1)
    assert sizes_from_words(config, {"num_key_value_heads": 1}) == PrunedSizes(num_key_value_heads=1)
    assert sizes_from_words(config, {"num_attention_heads": 4, "hidden_size": 32}) == PrunedSizes()


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (
            {"hidden_size": 64, "num_hidden_layers": 9},
            [
                "sizes.hidden_size: must lie between 1 and 32, the model's, got 64.",
                "sizes.num_hidden_layers: must lie between 1 and 2, the model's, got 9.",
            ],
        ),
        (
            {"num_attention_heads": 3},
            [
                "sizes.num_attention_heads: must be a multiple of 2, the query heads that share a key-value "
                "head, got 3."
            ],
        ),
        (
            {"num_attention_heads": 2, "num_key_value_heads": 2},
            [
                "sizes.num_key_value_heads: must be 1 for 2 query heads, 2 to a key-value head, got 2. "
                "Leave it out."
            ],
        ),
    ],
)
def test_sizes_that_the_model_cannot_have_are_refused(words, messages):
    with pytest.raises(ModelError) as caught:
        sizes_from_words(tiny_llama().config, words)
    assert [str(problem) for problem in caught.value.problems] == messages


def test_a_width_that_transformers_does_not_save_is_refused_with_the_nearest_ones():
    config = tiny_llama().config
    refused = r"sizes\.hidden_size: must be a multiple of the 4 query heads in a llama .* 21\. Take 20 or 24"
    with pytest.raises(ModelError, match=refused):
        sizes_from_words(config, {"hidden_size": 21})
    with pytest.raises(ModelError, match=r"multiple of the 4 query heads .* got 21"):
        keep_units(tiny_llama(), hidden=range(21))
    assert sizes_from_words(config, {"hidden_size": 22, "num_attention_heads": 2}).hidden_size == 22


def test_a_width_that_heads_do_not_divide_is_saved_where_transformers_takes_it(tmp_path):
    model = tiny_mistral()
    student = prune(model, found_on(model), sizes_from_words(model.config, {"hidden_size": 21}))
    loaded = AutoModelForCausalLM.from_pretrained(save_model(student, None, tmp_path / "student"))
    assert torch.equal(outputs(loaded), outputs(student))


@pytest.mark.parametrize("ratio", [0.2, 0.4, 0.6])
def test_the_shape_of_a_ratio_is_saved_and_loaded(ratio, tmp_path):
    model = tiny_llama(layers=3)
    student = prune(model, found_on(model), sizes_from_ratio(model.config, ratio))
    loaded = AutoModelForCausalLM.from_pretrained(save_model(student, None, tmp_path / "student"))
    assert torch.equal(outputs(loaded), outputs(student))


@pytest.mark.parametrize("build", PRUNABLE)
def test_depth_and_width_are_cut_together_to_the_number_of_parameters_that_was_said(build, tmp_path):
    model = build()
    words = {"num_hidden_layers": 2, "hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 2}
    sizes = sizes_from_words(model.config, words)
    student = prune(model, found_on(model), sizes)
    loaded = AutoModelForCausalLM.from_pretrained(save_model(student, None, tmp_path / "student"))
    assert torch.equal(outputs(loaded), outputs(student))
    assert {name: getattr(loaded.config, name) for name in words} == words
    planned = estimate_parameters(pruned_config(model.config, sizes), "causal")
    assert count_parameters(loaded) == planned


def test_the_parts_that_score_highest_stay():
    model = tiny_llama(layers=3)
    found = found_on(model)
    planted = torch.zeros(3, 64)
    planted[0, 10:20], planted[2, 30:40] = 1.0, 1.0
    found = dataclasses.replace(
        found,
        layers=torch.tensor([0.3, 0.1, 0.2]),
        width=dataclasses.replace(found.width, neurons=planted),
    )
    student = prune(model, found, PrunedSizes(num_hidden_layers=2, intermediate_size=10))
    for new, old, rows in ((0, 0, slice(10, 20)), (1, 2, slice(30, 40))):
        kept, was = student.model.layers[new].mlp, model.model.layers[old].mlp
        assert torch.equal(kept.up_proj.weight, was.up_proj.weight[rows])
        assert torch.equal(kept.down_proj.weight, was.down_proj.weight[:, rows])


def test_a_model_that_loses_nothing_is_a_copy():
    model = tiny_llama()
    student = prune(model, found_on(model), PrunedSizes())
    assert student is not model
    assert torch.equal(outputs(student), outputs(model))


def test_norms_are_put_back_with_the_layers_that_stay():
    # Layer 1 goes: the norms of layer 2 must be put back by their own energies.
    model = tiny_llama(layers=3)
    found = found_on(model)
    found = dataclasses.replace(found, layers=torch.tensor([0.3, 0.1, 0.2]))
    sizes = PrunedSizes(num_hidden_layers=2, hidden_size=24)
    student, plain = (prune(model, found, sizes, rescale_norms=choice) for choice in (True, False))
    kept = found.width.hidden.topk(24).indices
    expected = found.width.energies[4, kept].mean().sqrt()
    ratio = student.model.layers[1].input_layernorm.weight / plain.model.layers[1].input_layernorm.weight
    torch.testing.assert_close(ratio, expected.expand(24))


def test_other_architectures_lose_layers_only():
    model = tiny_gpt2(layers=3)
    sizes = sizes_from_words(model.config, {"num_hidden_layers": 2})
    assert prune(model, found_on(model), sizes).config.n_layer == 2
    assert pruned_config(model.config, sizes).n_layer == 2
    refused = r"must be llama, .* to lose width, got gpt2; .* layers alone"
    with pytest.raises(ModelError, match=refused):
        sizes_from_words(model.config, {"hidden_size": 8})
    with pytest.raises(ModelError, match=refused):
        sizes_from_ratio(model.config, 0.5)
    with pytest.raises(ModelError, match="must hold scores of the width to cut it"):
        prune(model, found_on(model), PrunedSizes(hidden_size=8))
