"""Importance against weights times gradients, planted dead parts, and what really happens to the loss."""

import dataclasses
from itertools import pairwise

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy, silu

from limbeck.assets import asset_path
from limbeck.core.errors import ModelError
from limbeck.core.masks import IGNORE
from limbeck.core.models import load_model, load_tokenizer
from limbeck.rows.standard_library import standard_library_files
from limbeck.students import PrunedSizes, measure_importance, prune
from limbeck.students.importance import most_important
from tests.students.pruned import IDS, batch_of, outputs, tiny_qwen3, uneven_norms
from tests.tiny import random_ids, tiny_gpt2, tiny_llama

BATCHES = [batch_of(random_ids(3, 9, seed=seed)) for seed in (1, 2)]


def loss_of(model, batch):
    logits = model(**batch.inputs, use_cache=False).logits
    return cross_entropy(logits.flatten(0, 1), batch.targets.flatten())


def unit_length(scores):
    return scores / scores.square().sum(-1, keepdim=True).sqrt()


def weights_times_gradients(model, batch):
    """|sum w dL/dw| of the weights that carry each unit: hidden [H], groups [L, G], neurons [L, F]."""
    model.zero_grad()
    loss_of(model, batch).backward()
    products = {name: (weight * weight.grad).detach() for name, weight in model.named_parameters()}
    hidden = products["model.embed_tokens.weight"].sum(0)
    groups, neurons = [], []
    for layer in range(model.config.num_hidden_layers):
        attention = products[f"model.layers.{layer}.self_attn.o_proj.weight"]
        feed_forward = products[f"model.layers.{layer}.mlp.down_proj.weight"]
        hidden = hidden + attention.sum(1) + feed_forward.sum(1)
        groups.append(attention.sum(0).view(model.config.num_key_value_heads, -1).sum(1))
        neurons.append(feed_forward.sum(0))
    model.zero_grad()
    return [scores.abs() for scores in (hidden, torch.stack(groups), torch.stack(neurons))]


@pytest.mark.parametrize("build", [tiny_llama, tiny_qwen3])
def test_a_score_is_the_sum_of_weights_times_gradients_averaged_over_batches(build):
    model = uneven_norms(build())
    first, second = (weights_times_gradients(model, batch) for batch in BATCHES)
    expected = [unit_length((one + two) / 2) for one, two in zip(first, second, strict=True)]
    found = measure_importance(model, BATCHES).width
    for scores, wanted in zip((found.hidden, found.groups, found.neurons), expected, strict=True):
        torch.testing.assert_close(scores, wanted, atol=1e-5, rtol=1e-3)


def test_a_layers_gradient_is_the_slope_of_the_loss_when_all_it_adds_is_scaled():
    model = tiny_llama(layers=3)
    found = measure_importance(model, BATCHES[:1]).layer_gradients

    def loss_with(place, factor):
        scale = lambda module, args, output: args[0] + factor * (output - args[0])  # noqa: E731
        handle = model.model.layers[place].register_forward_hook(scale)
        with torch.no_grad():
            loss = loss_of(model, BATCHES[0]).item()
        handle.remove()
        return loss

    slopes = [abs(loss_with(place, 1.01) - loss_with(place, 0.99)) / 0.02 for place in range(3)]
    torch.testing.assert_close(found, torch.tensor(slopes), atol=1e-4, rtol=1e-2)


def test_block_influence_is_one_minus_the_cosine_of_the_states_around_a_layer():
    model = tiny_llama(layers=3)
    with torch.no_grad():
        states = model(**BATCHES[0].inputs, output_hidden_states=True).hidden_states
    # The last of the states is behind the final norm, and of no use here.
    expected = [1 - cosine_similarity(*around, dim=-1).mean() for around in pairwise(states[:3])]
    torch.testing.assert_close(measure_importance(model, BATCHES[:1]).layers[:2], torch.stack(expected))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_layer_that_adds_nothing_has_no_influence(place):
    # The last layer too: its states are compared before the final norm.
    model = tiny_llama(layers=3)
    for projection in (model.model.layers[place].self_attn.o_proj, model.model.layers[place].mlp.down_proj):
        torch.nn.init.zeros_(projection.weight)
    found = measure_importance(model, BATCHES)
    assert found.layers[place].abs() < 1e-6
    assert found.layer_gradients[place] == 0
    assert found.layers.argmin() == place


@pytest.mark.parametrize("by", ["gradient", "activation"])
def test_dead_units_score_zero(by):
    model = tiny_llama()
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 5] = 0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[5] = 0
            layer.mlp.down_proj.weight[5] = 0
        model.model.layers[1].mlp.up_proj.weight[9] = 0
        model.model.layers[0].self_attn.v_proj.weight[8:16] = 0  # the second of two key-value heads
    found = measure_importance(model, BATCHES, by=by).width
    assert found.hidden[5] == found.neurons[1, 9] == found.groups[0, 1] == 0
    assert (found.hidden > 0).sum() == 31
    assert (found.neurons > 0).sum() == 2 * 64 - 1


def test_a_neurons_activation_is_its_mean_size_before_the_second_matrix():
    model = tiny_llama()
    block, caught = model.model.layers[1].mlp, []
    handle = block.register_forward_hook(lambda module, args, output: caught.append(args[0]))
    outputs(model, BATCHES[0].inputs["input_ids"])
    handle.remove()
    (states,) = caught
    values = silu(states @ block.gate_proj.weight.T) * (states @ block.up_proj.weight.T)
    expected = unit_length(values.abs().mean((0, 1)).detach())
    found = measure_importance(model, BATCHES[:1], by="activation")
    torch.testing.assert_close(found.width.neurons[1], expected)
    assert found.layer_gradients is None


@pytest.mark.parametrize("by", ["gradient", "activation"])
def test_padding_changes_nothing(by):
    model, ids = tiny_llama(), random_ids(1, 8)
    padded = torch.cat([ids, torch.zeros(1, 4, dtype=ids.dtype)], 1)
    targets = padded[:, 1:].clone()
    targets[:, 7:] = IGNORE
    mask = (torch.arange(11) < 7).long()[None]
    with_padding = dataclasses.replace(batch_of(padded, attention_mask=mask), targets=targets)
    one, two = (measure_importance(model, [batch], by=by) for batch in (batch_of(ids), with_padding))
    torch.testing.assert_close(one.layers, two.layers, atol=1e-6, rtol=1e-5)
    for name, scores in vars(one.width).items():
        torch.testing.assert_close(scores, getattr(two.width, name), atol=1e-5, rtol=1e-4)


def test_measuring_leaves_no_trace_on_the_model():
    model = tiny_llama().train()
    model.lm_head.weight.requires_grad_(False)
    before = outputs(model)
    measure_importance(model, BATCHES)
    assert torch.equal(outputs(model), before)
    assert model.training and model.model.norm.weight.requires_grad and not model.lm_head.weight.requires_grad
    assert all(weight.grad is None for weight in model.parameters())


def test_of_other_architectures_the_layers_are_measured():
    found = measure_importance(tiny_gpt2(layers=3), BATCHES)
    assert found.width is None
    assert found.layers.shape == found.layer_gradients.shape == (3,)
    assert (found.layers > 0).all()


def test_rows_with_nothing_to_predict_are_refused():
    with pytest.raises(ModelError, match="must have a token to predict to measure importance, got none"):
        measure_importance(tiny_llama(), [batch_of(IDS[:, :1])])


def test_the_most_important_come_in_order_and_ties_go_to_the_first():
    assert most_important(torch.tensor([1.0, 3.0, 2.0, 3.0]), 2) == (1, 3)
    assert most_important(torch.zeros(4), 2) == (0, 1)


@pytest.fixture(scope="module")
def teacher():
    """The shipped teacher, its importance on learnt files, and windows of held-out ones."""
    place = asset_path("code_teacher")
    tokenizer, model = load_tokenizer(place), load_model(place, "causal")

    def windows(heldout):
        files = [file.text for file in standard_library_files() if file.heldout == heldout]
        ids = [tokenizer.backend_tokenizer.encode(text[2000:4000]).ids[:129] for text in files]
        return torch.tensor([one for one in ids if len(one) == 129][:24])

    read = windows(heldout=False)
    batches = [batch_of(read[start : start + 4]) for start in range(0, len(read), 4)]
    return model, measure_importance(model, batches), batch_of(windows(heldout=True))


def with_neurons(found, scores):
    return dataclasses.replace(found, width=dataclasses.replace(found.width, neurons=scores))


def test_pruning_a_quarter_of_the_neurons_by_importance_harms_least(teacher):
    model, found, heldout = teacher
    scores, sizes = found.width.neurons, PrunedSizes(intermediate_size=528)  # of 704
    at_random = torch.rand(scores.shape, generator=torch.Generator().manual_seed(0))

    def loss(importance):
        with torch.no_grad():
            return loss_of(prune(model, importance, sizes), heldout).item()

    with torch.no_grad():
        whole = loss_of(model, heldout).item()
    best, drawn, worst = (loss(with_neurons(found, one)) for one in (scores, at_random, -scores))
    assert best - whole < (drawn - whole) / 2
    assert drawn < worst
