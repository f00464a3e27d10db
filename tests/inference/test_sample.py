"""Rollouts: distributions, stops, mixtures, and equality with transformers' own decoding."""

import pytest
import torch

from limbeck.core.errors import ConfigError, ModelError
from limbeck.inference.generate import generate
from limbeck.inference.request import TokenIds
from limbeck.inference.sample import _drawn, sample
from tests.tiny import EOS, PAD, tiny_gpt2, tiny_llama, tiny_t5

IDS = TokenIds((EOS,), PAD)
PROMPTS = [[5, 9, 20], [7], [40, 41, 42, 43, 44, 45], [8, 30]]


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
def test_greedy_rollouts_are_those_of_transformers(make):
    model = make()
    options = {"tokenizer_or_ids": IDS, "max_new_tokens": 12}
    ours = sample(model, PROMPTS, sampling_temperature=0.0, **options)
    assert ours == generate(model, PROMPTS, **options)


def test_rows_of_one_length_are_the_same_as_in_a_padded_batch():
    model = tiny_llama()
    options = {"tokenizer_or_ids": IDS, "max_new_tokens": 8, "sampling_temperature": 0.0}
    together = sample(model, PROMPTS, **options)
    assert together == [sample(model, [prompt], **options)[0] for prompt in PROMPTS]


def test_with_a_seed_each_a_prompt_draws_what_it_draws_alone():
    model = tiny_llama(initializer_range=0.05)
    options = {"tokenizer_or_ids": IDS, "max_new_tokens": 8}
    together = sample(model, PROMPTS * 2, seeds=range(8), **options)
    alone = [sample(model, [prompt], seeds=[n], **options)[0] for n, prompt in enumerate(PROMPTS * 2)]
    assert together == alone
    assert together[0] != together[4]


def test_draws_by_seeds_come_with_the_probabilities_of_the_model():
    model, many = tiny_llama(initializer_range=0.05), 4000
    drawn = sample(
        model, [[5, 9]] * many, tokenizer_or_ids=IDS, max_new_tokens=1, batch_tokens=10**6, seeds=range(many)
    )
    with torch.no_grad():
        expected = model(torch.tensor([[5, 9]])).logits[0, -1].softmax(-1)
    found = torch.bincount(torch.tensor([one.ids[0] for one in drawn]), minlength=len(expected)) / many
    assert (found - expected).abs().sum() / 2 < (len(expected) / many) ** 0.5 / 2


def test_tokens_come_with_the_probabilities_of_the_model():
    model, many = tiny_llama(initializer_range=0.05), 4000
    drawn = sample(model, [[5, 9]] * many, tokenizer_or_ids=IDS, max_new_tokens=1, batch_tokens=10**6)
    with torch.no_grad():
        expected = model(torch.tensor([[5, 9]])).logits[0, -1].softmax(-1)
    found = torch.bincount(torch.tensor([one.ids[0] for one in drawn]), minlength=len(expected)) / many
    # Total variation of an empirical distribution of n draws is below sqrt(V / n) with room to spare.
    assert (found - expected).abs().sum() / 2 < (len(expected) / many) ** 0.5 / 2


def test_outcomes_are_drawn_in_proportion_and_the_impossible_never():
    # A row of any sum; the first, a middle and the last outcome cannot be.
    weights = torch.tensor([[0.0, 3.0, 0.0, 1.0, 0.0]]).expand(20_000, -1)
    found = torch.bincount(_drawn(weights, torch.Generator().manual_seed(0)), minlength=5) / 20_000
    assert found[[0, 2, 4]].tolist() == [0, 0, 0]
    # Standard deviation of the share: 0.003.
    assert found[1].item() == pytest.approx(0.75, abs=0.015)


@pytest.mark.parametrize("uniform", [0.0, 1.0])
def test_the_ends_of_the_unit_interval_draw_what_is_possible(uniform, monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, uniform, dtype=torch.float64))
    drawn = _drawn(torch.tensor([[0.0, 0.3, 0.7, 0.0]]), torch.Generator())
    assert drawn.tolist() == [1 if uniform == 0 else 2]


def test_a_guide_that_writes_alone_writes_its_own_text():
    model, guide = tiny_llama(seed=1), tiny_llama(seed=2)
    options = {"tokenizer_or_ids": IDS, "max_new_tokens": 10, "sampling_temperature": 0.0}
    led = sample(model, PROMPTS, guide=guide, guide_share=1.0, **options)
    assert led == sample(guide, PROMPTS, **options)
    assert led != sample(model, PROMPTS, **options)


def test_a_mixture_has_the_mean_of_the_probabilities():
    model, guide, many = tiny_llama(seed=1), tiny_llama(seed=2), 4000
    options = {"tokenizer_or_ids": IDS, "max_new_tokens": 1, "batch_tokens": 10**6}
    drawn = sample(model, [[5, 9]] * many, guide=guide, guide_share=0.5, **options)
    with torch.no_grad():
        q, p = (one(torch.tensor([[5, 9]])).logits[0, -1].softmax(-1) for one in (model, guide))
    mixed = (q + p) / 2
    found = torch.bincount(torch.tensor([one.ids[0] for one in drawn]), minlength=len(q)) / many
    assert (found - mixed).abs().sum() < (found - q).abs().sum() / 2


def test_nothing_follows_a_stop_and_rows_stop_alone():
    model = tiny_llama(initializer_range=0.02)
    drawn = sample(
        model, PROMPTS * 20, tokenizer_or_ids=TokenIds(tuple(range(100)), PAD), max_new_tokens=20, seed=3
    )
    lengths = {len(one.ids) for one in drawn}
    assert len(lengths) > 2
    for one in drawn:
        assert all(token >= 100 for token in one.content)
        assert one.stopped is (one.ids[-1] < 100)


def test_without_an_end_token_all_rows_are_full():
    drawn = sample(tiny_llama(), PROMPTS, tokenizer_or_ids=TokenIds((), PAD), max_new_tokens=7)
    assert [(len(one.ids), one.stopped) for one in drawn] == [(7, False)] * len(PROMPTS)


def test_the_seed_decides_and_global_generators_are_left_alone():
    model = tiny_llama()
    options = {"tokenizer_or_ids": IDS, "max_new_tokens": 9}
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = sample(model, PROMPTS, seed=1, **options)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first == sample(model, PROMPTS, seed=1, **options)
    assert first != sample(model, PROMPTS, seed=2, **options)


def test_a_model_in_training_stays_in_training():
    model = tiny_llama().train()
    sample(model, PROMPTS, tokenizer_or_ids=IDS, max_new_tokens=2)
    assert all(module.training for module in model.modules())


def test_top_p_keeps_the_smallest_set():
    model = tiny_llama()
    with torch.no_grad():
        p = model(torch.tensor([[5, 9]])).logits[0, -1].softmax(-1)
    allowed, mass = set(), 0.0
    for token in p.argsort(descending=True).tolist():
        if mass >= 0.5:
            break
        allowed.add(token)
        mass += float(p[token])
    drawn = sample(model, [[5, 9]] * 500, tokenizer_or_ids=IDS, max_new_tokens=1, top_p=0.5)
    assert {one.ids[0] for one in drawn} <= allowed


def test_what_cannot_be_is_refused():
    options = {"tokenizer_or_ids": IDS, "max_new_tokens": 4}
    with pytest.raises(ConfigError, match=r"guide_share must lie in \[0, 1\], and be 0 without a guide"):
        sample(tiny_llama(), PROMPTS, guide_share=0.2, **options)
    with pytest.raises(ModelError, match="rollouts need causal models"):
        sample(tiny_t5(), PROMPTS, **options)
    with pytest.raises(ModelError, match="must fit the context of 256 tokens, got 6 \\+ 251"):
        sample(tiny_llama(), PROMPTS, tokenizer_or_ids=IDS, max_new_tokens=251)


def test_draws_of_a_seed_are_those_that_finished_runs_were_made_with():
    # Recorded when every model was padded and cached without being asked.
    options = {"tokenizer_or_ids": IDS, "max_new_tokens": 5, "seed": 3}
    written = generate(tiny_llama(), PROMPTS, sampling_temperature=1.0, **options)
    assert [one.ids for one in written] == [
        [108, 192, 94, 316, 79], [74, 24, 174, 55, 87], [215, 215, 139, 293, 107], [28, 172, 167, 167, 184]
    ]  # fmt: skip
    drawn = sample(tiny_llama(), PROMPTS, **options)
    assert [one.ids for one in drawn] == [
        [11, 61, 235, 226, 108], [29, 296, 186, 251, 228], [2], [200, 191, 139, 22, 194]
    ]  # fmt: skip
    guided = {"top_p": 0.8, "guide": tiny_llama(seed=4), "guide_share": 0.3}
    drawn = sample(tiny_llama(), PROMPTS, sampling_temperature=1.3, **guided, **options)
    assert [one.ids for one in drawn] == [
        [7, 83, 262, 211, 113], [33, 303, 209, 248, 241], [2], [201, 202, 161, 23, 182]
    ]  # fmt: skip
