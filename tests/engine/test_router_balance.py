"""The balance loss of experts against plain transformers, and however the step is cut up."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import OlmoeConfig, OlmoeForCausalLM, Qwen2MoeConfig, Qwen2MoeForCausalLM

from limbeck.core.batch import Batch
from limbeck.core.errors import ModelError, RowError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import DISTRIBUTION, at
from limbeck.core.outputs import Outputs
from limbeck.core.signals.routing import Routing, routed_tokens
from limbeck.engine import Party, StepReport, train
from limbeck.engine.hf_trainer import DistilTrainer
from limbeck.objectives.criterion import Criterion
from limbeck.objectives.router_balance import router_balance
from limbeck.students import add_lora
from tests.engine.test_hf_trainer import arguments
from tests.engine.world import VOCABULARY, Changed, Rows, experts_party, nothing_learnt
from tests.tiny import seeded, tiny_llama, tiny_mixtral

WEIGHT = 0.5
SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "initializer_range": 0.2,
}


def tiny_qwen2_moe() -> Any:
    sizes = {"moe_intermediate_size": 8, "shared_expert_intermediate_size": 8}
    return seeded(Qwen2MoeForCausalLM, Qwen2MoeConfig(**SMALL, **sizes), 0)


def tiny_olmoe() -> Any:
    return seeded(OlmoeForCausalLM, OlmoeConfig(**SMALL), 0)


MODELS = {"mixtral": lambda: tiny_mixtral(vocab=VOCABULARY), "qwen2": tiny_qwen2_moe, "olmoe": tiny_olmoe}


def alone() -> Criterion:
    """The balance loss without any other term."""
    return Criterion([experts_party(weight=WEIGHT).criterion.terms[-1]])


def loss_on(model: Any, batch: Batch, *, probe: bool = True) -> tuple[torch.Tensor, float]:
    criterion, reader = alone(), ForwardModel(model).probe() if probe else ForwardModel(model)
    answer = reader.read(batch.inputs, criterion.student_needs | DISTRIBUTION)
    counts = criterion.counts(batch)
    loss, means = criterion(answer, None, batch, counts=counts, step=0, total_steps=1)
    return loss, float(means[0])


def gradients(model: Any, loss: torch.Tensor) -> list[torch.Tensor]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(loss, trained, allow_unused=True)
    return [torch.zeros(()) if one is None else one for one in found]


def trained(folder: Path, **settings: Any) -> tuple[Party, list[StepReport]]:
    party, reports = experts_party(weight=WEIGHT, **settings), []
    train([party], Rows(), folder=folder, on_step=reports.append)
    return party, reports


def same_weights(one: Party, other: Party) -> None:
    for expected, got in zip(one.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)


def test_matches_a_value_worked_out_by_hand():
    # Two experts, one chosen. Token 1: p = (3/4, 1/4), sent to expert 0; token 2: p = (1/4, 3/4), also to 0.
    logits = torch.tensor([[[[3.0, 1.0]], [[1.0, 3.0]]]]).log()
    routing = Routing(logits, torch.zeros(1, 2, 1, 1, dtype=torch.long))
    tokens = routed_tokens(routing, torch.ones(1, 2, dtype=torch.bool))
    assert tokens.tolist() == [2.0, 0.0]
    # f = (1, 0): E * sum_e f_e * p_e = 2 * 3/4 and 2 * 1/4.
    values = router_balance(routing, (tokens / 2).float())
    torch.testing.assert_close(values, torch.tensor([[1.5, 0.5]]))


def test_is_computed_in_float32_in_mixed_precision_too():
    logits = torch.randn(2, 5, 2, 4, generator=torch.Generator().manual_seed(0))
    routing, shares = Routing(logits, logits.topk(2).indices), torch.tensor([0.7, 0.6, 0.4, 0.3])
    with torch.autocast("cpu", torch.bfloat16):
        values = router_balance(routing, shares)
    assert torch.equal(values, router_balance(routing, shares))


def test_several_teachers_do_not_touch_it():
    batch = Rows().batch([0, 1])
    criterion, reader = alone(), ForwardModel(tiny_mixtral(vocab=VOCABULARY)).probe()
    answer = reader.read(batch.inputs, criterion.student_needs)
    moment = {"counts": criterion.counts(batch), "step": 0, "total_steps": 1}
    teachers = Outputs(members=((torch.ones(2), Outputs()), (torch.zeros(2), Outputs())))
    expected, _ = criterion(answer, None, batch, **moment)
    assert torch.equal(criterion(answer, teachers, batch, **moment)[0], expected)


@pytest.mark.parametrize("probe", [True, False], ids=["fused", "dense"])
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_is_that_of_transformers_in_value_and_gradient_with_padding(build: Any, probe: bool):
    model, batch = build(), Rows().batch([0, 1, 2, 5])
    assert batch.attention_mask.sum() < batch.attention_mask.numel()
    theirs = model(**batch.inputs, output_router_logits=True).aux_loss
    loss, mean = loss_on(model, batch, probe=probe)
    assert mean == pytest.approx(theirs.item(), rel=1e-6)
    assert loss.item() == pytest.approx(WEIGHT * theirs.item(), rel=1e-6)
    expected = gradients(model, WEIGHT * theirs)
    assert any(one.abs().max() > 1e-4 for one in expected)
    for got, one in zip(gradients(model, loss), expected, strict=True):
        torch.testing.assert_close(got, one, atol=1e-7, rtol=1e-5)


def test_reaches_adapters_where_routers_are_frozen_and_under_checkpointing():
    model, batch = tiny_mixtral(vocab=VOCABULARY), Rows().batch([0, 1, 2, 5])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapted = add_lora(model, r=2, alpha=4, dropout=0.0, target_modules="all-linear").train()
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter)
    theirs = adapted(**batch.inputs, output_router_logits=True).aux_loss
    expected = gradients(adapted, WEIGHT * theirs)
    adapted.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    loss, _ = loss_on(adapted, batch)
    assert any(one.abs().max() > 1e-4 for one in expected)
    for got, one in zip(gradients(adapted, loss), expected, strict=True):
        torch.testing.assert_close(got, one, atol=1e-7, rtol=1e-5)


def test_padding_behind_packs_is_left_out():
    rows, model = Rows(), tiny_mixtral(vocab=VOCABULARY)
    ids = [torch.tensor(rows.ids[place]) for place in (0, 1, 2)]  # two share a pack; the third has padding
    lengths = [len(ids[0]) + len(ids[1]), len(ids[2])]
    width = max(lengths)
    assert lengths[0] != lengths[1]
    packed, positions = (torch.zeros(2, width, dtype=torch.long) for _ in range(2))
    packed[0, : lengths[0]], packed[1, : lengths[1]] = torch.cat(ids[:2]), ids[2]
    starts = torch.cat([torch.arange(len(one)) for one in ids[:2]])
    positions[0, : lengths[0]], positions[1, : lengths[1]] = starts, torch.arange(lengths[1])
    targets = packed.roll(-1, 1)
    inputs = {"input_ids": packed, "position_ids": positions}
    packs = Batch(inputs, targets, [("a", "b"), ("c",)], packed_lengths=lengths)
    assert packs.tokens == sum(lengths)
    _, expected = loss_on(model, rows.batch([0, 1, 2]))
    assert loss_on(model, packs)[1] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("size", "accumulation"), [(4, 2), (1, 8)])
def test_the_step_does_not_depend_on_micro_batching(tmp_path: Path, size: int, accumulation: int):
    whole, expected = trained(tmp_path / "whole", max_steps=2)
    parts, got = trained(
        tmp_path / "parts",
        max_steps=2,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=accumulation,
        gradient_checkpointing=size == 4,
    )
    same_weights(whole, parts)
    for one, other in zip(expected, got, strict=True):
        assert other.terms == pytest.approx(one.terms, rel=1e-5)
        assert other.loss == pytest.approx(one.loss, rel=1e-6)
        terms = 0.7 * one.terms["forward_kl"] + 0.3 * one.terms["cross_entropy"]
        assert one.loss == pytest.approx(terms + WEIGHT * one.terms["router_balance"], rel=1e-6)


def test_tokens_are_counted_under_the_dropout_that_they_are_learnt_with(tmp_path: Path):
    party = experts_party(
        dropout=0.4, max_steps=1, per_device_train_batch_size=2, gradient_accumulation_steps=4
    )
    seen: list[torch.Tensor] = []

    class Watched(Criterion):
        def __call__(self, student: Any, teacher: Any, batch: Batch, **moment: Any) -> Any:
            own = self.summed(student, batch)["routed_shares"]
            seen.append(torch.stack([moment["sums"]["routed_shares"], own]))
            return super().__call__(student, teacher, batch, **moment)

    party = replace(party, criterion=Watched(party.criterion.terms))
    train([party], Rows(), folder=tmp_path)
    assert len(seen) == 4
    assert torch.equal(seen[0][0], torch.stack([loss_mask for _, loss_mask in seen]).sum(0))


def test_a_trainer_of_transformers_takes_the_same_step(tmp_path: Path):
    looped, _ = trained(
        tmp_path / "loop", max_steps=2, per_device_train_batch_size=2, gradient_accumulation_steps=4
    )
    adapted = experts_party(weight=WEIGHT)
    trainer = DistilTrainer(adapted, Rows(), args=arguments(tmp_path / "hf"), held_out=Rows())
    trainer.train()
    same_weights(looped, adapted)
    trainer.args.per_device_eval_batch_size = len(Rows())
    whole = trainer.evaluate()["eval_router_balance"]
    trainer.args.per_device_eval_batch_size = 5
    assert trainer.evaluate()["eval_router_balance"] == pytest.approx(whole, rel=1e-5)


def test_balanced_terms_leave_it_its_own_weight(tmp_path: Path):
    party, reports = replace(experts_party(weight=WEIGHT, max_steps=1), balance="gradient_magnitude"), []
    train([party], Rows(), folder=tmp_path, on_step=reports.append)
    weights = {name: reports[0].terms[f"weight_{name}"] for name in ("forward_kl", "cross_entropy")}
    assert sum(weights.values()) == pytest.approx(1)
    assert reports[0].terms["weight_router_balance"] == WEIGHT
    terms = sum(weight * reports[0].terms[name] for name, weight in weights.items())
    assert reports[0].loss == pytest.approx(terms + WEIGHT * reports[0].terms["router_balance"], rel=1e-6)


def test_alone_it_is_nothing_to_learn_from(tmp_path: Path):
    with pytest.raises(RowError, match="step 1 must have something to learn from"):
        train([experts_party()], Rows(), folder=tmp_path, transforms=[Changed(nothing_learnt)])


def test_a_model_without_routers_is_refused():
    with pytest.raises(ModelError, match="must have routers to say which experts it chooses, got Llama"):
        ForwardModel(tiny_llama(vocab=VOCABULARY)).read(Rows().batch([0]).inputs, at("routing"))
