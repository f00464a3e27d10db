"""The balance loss of a student with experts: planned, trained with, refused where it is not known."""

import json

import pytest
from transformers import (
    DbrxConfig,
    DogeConfig,
    JetMoeConfig,
    LlamaConfig,
    MixtralConfig,
    SwitchTransformersConfig,
)

from limbeck.core.errors import ConfigError, UserError
from limbeck.core.models import save_model
from limbeck.core.models.config import skeleton
from limbeck.runs.assembly.routers import router_term
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.checking.rates import Rates
from limbeck.runs.resolve import resolve
from tests.runs.test_runs import run
from tests.runs.test_trainer import trainer
from tests.tiny import tiny_mixtral, tiny_tokenizer

SMALL = {"max_steps": 2, "max_length": 48, "heldout": 6, "steps.2.evaluate.metrics": ["perplexity"]}
ASKS = {"output_router_logits": True, "router_aux_loss_coef": 0.25}


def planned(world, folder, config, **inputs):
    save_model(tiny_mixtral(**config), tiny_tokenizer(), folder / "student")
    given = {"student": str(folder / "student"), "data": str(world / "answers.jsonl"), **SMALL, **inputs}
    return make_plan(resolve("sft", given), folder / "run")[0]


@pytest.mark.parametrize(
    ("config", "given", "sentence"),
    [
        (ASKS, None, "is in the loss with weight 0.25 (router_aux_loss_coef of the student)."),
        (ASKS, 0.5, "is in the loss with weight 0.5 (router_aux_loss_coef of the step)."),
        (ASKS, 0, "is not in the loss (router_aux_loss_coef of the step is 0)."),
        ({}, None, "(output_router_logits of the student is false); router_aux_loss_coef=0.001 adds it."),
        ({}, 0.001, "is in the loss with weight 0.001 (router_aux_loss_coef of the step)."),
    ],
)
def test_a_plan_says_its_weight_and_who_sets_it(world, tmp_path, config, given, sentence):
    inputs = {} if given is None else {"router_aux_loss_coef": given}
    notes = [note for step in planned(world, tmp_path, config, **inputs).steps for note in step.notes]
    said = [note for note in notes if "router's balance loss" in note]
    assert len(said) == 1
    assert said[0].endswith(sentence)


def test_a_plan_counts_the_pass_that_several_micro_batches_need(world, tmp_path, monkeypatch):
    monkeypatch.setattr("limbeck.runs.checking.plan.machine_rates", lambda: Rates(1e9, 1e9))

    def training(**inputs):
        plan = planned(world, tmp_path, ASKS, per_device_train_batch_size=1, packing=False, **inputs)
        return next(step for step in plan.steps if step.kind == "train")

    def seconds(**inputs):
        one = training(gradient_accumulation_steps=8, **inputs)
        return one.seconds / one.tokens

    # A forward more, beside a forward and a backward that costs two.
    assert seconds() == pytest.approx(4 / 3 * seconds(router_aux_loss_coef=0))


def test_it_is_a_term_like_any_other(world, tmp_path):
    save_model(tiny_mixtral(**ASKS), tiny_tokenizer(), tmp_path / "student")
    given = {"student": str(tmp_path / "student"), "data": str(world / "answers.jsonl"), **SMALL}
    run("sft", tmp_path / "run", gradient_accumulation_steps=2, **given)
    done = tmp_path / "run" / "steps" / "1-train-student"
    lines = (done / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2
    for line in map(json.loads, lines):
        terms = line["terms"]
        # A token reads 2 experts: 2 where they are balanced.
        assert 1.9 < terms["router_balance"] < 4
        expected = terms["cross_entropy"] + 0.25 * terms["router_balance"]
        assert line["loss"] == pytest.approx(expected, rel=1e-6)
    assert "router's balance loss is in the loss with weight 0.25" in (done / "done.json").read_text()


def test_a_student_without_it_is_refused_by_the_plan_and_trained_with_0(world, tmp_path):
    given = {"student": str(world / "student"), "data": str(world / "answers.jsonl"), **SMALL}
    message = r"router_aux_loss_coef must be 0 for a LlamaForCausalLM, got 0\.01; .*Set it to 0"
    with pytest.raises(UserError, match=message):
        make_plan(resolve("sft", {**given, "router_aux_loss_coef": 0.01}), tmp_path / "run")
    make_plan(resolve("sft", {**given, "router_aux_loss_coef": 0}), tmp_path / "run")


def test_a_balance_loss_of_another_form_is_refused():
    sizes = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    doge = DogeConfig(
        **sizes, intermediate_size=16, is_moe=True, num_experts=16, num_experts_per_tok=2, **ASKS
    )
    with pytest.raises(ConfigError, match=r"must be 0 for a DogeForCausalLM, got 0\.25 from its config"):
        router_term(None, skeleton(doge, "causal"))
    assert router_term(0.0, skeleton(doge, "causal")) is None
    switch = SwitchTransformersConfig(vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2)
    with pytest.raises(ConfigError, match=r"must be 0 for a SwitchTransformersForConditionalGen.* got 0\.1;"):
        router_term(0.1, skeleton(switch, "seq2seq"))
    assert router_term(None, skeleton(switch, "seq2seq")) is None


def test_its_weight_is_read_by_the_names_that_models_have_for_it():
    sizes = {"vocab_size": 64, "d_model": 16, "n_heads": 2, "n_layers": 1, "output_router_logits": True}
    experts = {"ffn_hidden_size": 8, "moe_num_experts": 4, "moe_top_k": 2, "moe_loss_weight": 0.25}
    dbrx = DbrxConfig(**sizes, ffn_config=experts, attn_config={"kv_n_heads": 2, "rope_theta": 10_000.0})
    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    sizes |= {"kv_channels": 8, "num_key_value_heads": 2, "output_router_logits": True}
    jet = JetMoeConfig(**sizes, num_local_experts=4, num_experts_per_tok=2, aux_loss_coef=0.25)
    for config in (dbrx, jet):
        term = router_term(None, skeleton(config, "causal"))
        assert term is not None
        assert term.weight == 0.25


def test_models_that_transformers_trains_without_are_trained_without():
    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    sizes |= {"num_hidden_layers": 1, "num_key_value_heads": 2}
    assert router_term(None, skeleton(LlamaConfig(**sizes, **ASKS), "causal")) is None
    assert router_term(None, skeleton(MixtralConfig(**sizes, **ASKS), "classifier")) is None


@pytest.mark.parametrize("config", [ASKS, {}])
def test_a_trainer_of_transformers_reads_it_off_the_student(tmp_path, config):
    made = trainer(tmp_path, model=tiny_mixtral(**config), max_length=48)
    weights = {term.name: term.weight for term in made.model.criterion.terms}
    assert weights == {"forward_kl": 1.0, **({"router_balance": 0.25} if config else {})}
