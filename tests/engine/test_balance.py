"""Weights by gradient magnitude: each term pulls the last layer alike, however the step is cut up."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError, Interrupted, ModelError, NotFiniteError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import Needs
from limbeck.core.outputs import Outputs
from limbeck.core.term import LayerMap, Term, Trainable
from limbeck.engine import Party, StepReport, train
from limbeck.engine.balance import last_layer
from limbeck.engine.hf_trainer import DistilTrainer
from limbeck.objectives import state_mse
from limbeck.objectives.criterion import Criterion
from limbeck.objectives.trainable import temperature
from limbeck.students import add_lora
from tests import tiny
from tests.engine.test_processes import ENVIRONMENT, command, losses
from tests.engine.world import Rows, student_party, teacher_answer

TERMS = ("forward_kl", "cross_entropy")


def balanced(**settings: object) -> Party:
    return replace(student_party(**settings), balance="gradient_magnitude")


def trained(folder: Path, **settings: object) -> tuple[Party, list[StepReport]]:
    party, reports = balanced(**settings), []
    train([party], Rows(), folder=folder, on_step=reports.append)
    return party, reports


def weights_of(report: StepReport) -> list[float]:
    return [report.terms[f"weight_{name}"] for name in TERMS]


def flat(party: Party) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in party.model.parameters()])


def norms_by_hand(party: Party, batch: Batch) -> list[float]:
    """Last-layer gradient norms of both terms: dense logits, plain autograd, no criterion."""
    teacher = teacher_answer(batch)
    loss_mask = batch.loss_mask
    log_q = party.model(**batch.inputs).logits[loss_mask].log_softmax(-1)
    log_p = (teacher.hidden @ teacher.head.weight.T)[loss_mask].log_softmax(-1)
    values = [
        (log_p.exp() * (log_p - log_q)).sum(-1).mean(),
        -log_q.gather(1, batch.targets[loss_mask][:, None]).mean(),
    ]
    layer = list(party.model.model.layers[-1].parameters())
    found = [torch.autograd.grad(value, layer, retain_graph=True) for value in values]
    return [float(torch.cat([part.flatten() for part in one]).norm()) for one in found]


def first_step(rows: int = 8) -> Batch:
    from limbeck.core.seeds import generator

    return Rows().batch(generator(0, "order", 0).permutation(len(Rows()))[:rows].tolist())


def test_weights_are_inverse_norms_that_add_up_to_one(tmp_path: Path):
    one, other = norms_by_hand(balanced(), first_step())
    assert max(one, other) > 1.2 * min(one, other)  # or equal weights would pass
    _, reports = trained(tmp_path, max_steps=1)
    expected = [other / (one + other), one / (one + other)]  # (1/a) / (1/a + 1/b) = b / (a + b)
    assert weights_of(reports[0]) == pytest.approx(expected, rel=1e-5)


def test_after_weighting_all_terms_pull_the_last_layer_alike(tmp_path: Path):
    # Measured apart from the engine's own measurement: one plain step for each term, with its weight.
    _, reports = trained(tmp_path / "both", max_steps=1)
    pulls = []
    for place, weight in enumerate(weights_of(reports[0])):
        party = student_party()
        term = replace(party.criterion.terms[place], weight=weight)
        batch = first_step()
        criterion = Criterion([term])
        answer = party.reader.read(batch.inputs, criterion.student_needs)
        loss, _ = criterion(
            answer, teacher_answer(batch), batch, counts=criterion.counts(batch), step=0, total_steps=1
        )
        loss.backward()
        layer = party.model.model.layers[-1].parameters()
        pulls.append(float(torch.cat([parameter.grad.flatten() for parameter in layer]).norm()))
    assert pulls[0] == pytest.approx(pulls[1], rel=1e-6)


def test_the_loss_is_the_sum_of_terms_with_these_weights(tmp_path: Path):
    _, reports = trained(tmp_path)
    for report in reports:
        weighted = sum(w * report.terms[name] for w, name in zip(weights_of(report), TERMS, strict=True))
        assert report.loss == pytest.approx(weighted, rel=1e-6)


def test_own_weights_have_no_effect(tmp_path: Path):
    first = trained(tmp_path / "first")[0]
    second = balanced()
    terms = [replace(term, weight=9.0 + place) for place, term in enumerate(second.criterion.terms)]
    second = replace(second, criterion=Criterion(terms))
    train([second], Rows(), folder=tmp_path / "second")
    assert torch.equal(flat(first), flat(second))


@pytest.mark.parametrize(("size", "accumulation"), [(4, 2), (1, 8)])
def test_the_step_does_not_depend_on_micro_batching(tmp_path: Path, size: int, accumulation: int):
    whole, expected = trained(tmp_path / "whole", per_device_train_batch_size=8)
    parts, got = trained(
        tmp_path / "parts", per_device_train_batch_size=size, gradient_accumulation_steps=accumulation
    )
    for one, other in zip(expected, got, strict=True):
        assert other.terms == pytest.approx(one.terms, rel=1e-5)
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
    torch.testing.assert_close(flat(parts), flat(whole), atol=2e-6, rtol=0)


def test_two_ranks_take_the_step_of_one_with_experts_that_are_balanced_too(tmp_path: Path):
    one = command(tmp_path / "one", 3, 4, 2, 0, 0.0, "experts")
    subprocess.run([sys.executable, *one], env=ENVIRONMENT, check=True)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    two = command(tmp_path / "two", 3, 4, 1, 0, 0.0, "experts")
    subprocess.run([*launch, *two], env={**ENVIRONMENT, "ACCELERATE_USE_CPU": "true"}, check=True)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    lines = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("one", "two")]
    for expected, got in zip(*lines, strict=True):
        assert json.loads(got)["terms"] == pytest.approx(json.loads(expected)["terms"], rel=1e-5)


def test_measuring_draws_no_random_numbers_and_meets_the_dropout_of_the_step(tmp_path: Path):
    # With its own weights put in by hand, a plain step must be the very same: same masks in both passes.
    party, reports = trained(tmp_path / "balanced", dropout=0.4, max_steps=1)
    plain = student_party(dropout=0.4, max_steps=1)
    terms = [
        replace(term, weight=weight)
        for term, weight in zip(plain.criterion.terms, weights_of(reports[0]), strict=True)
    ]
    plain = replace(plain, criterion=Criterion(terms))
    train([plain], Rows(), folder=tmp_path / "plain")
    assert torch.equal(flat(plain), flat(party))


def test_a_resumed_training_is_the_same_to_the_bit(tmp_path: Path):
    whole, _ = trained(tmp_path / "whole", max_steps=6, dropout=0.1)

    def stop(report: StepReport) -> None:
        if report.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    party = balanced(max_steps=6, dropout=0.1)
    with pytest.raises(Interrupted):
        train([party], Rows(), folder=tmp_path / "cut", on_step=stop)
    continued, _ = trained(tmp_path / "cut", max_steps=6, dropout=0.1)
    assert torch.equal(flat(continued), flat(whole))


@pytest.mark.parametrize("settings", [{"bf16": True}, {"gradient_checkpointing": True}])
def test_it_is_measured_in_the_precision_and_memory_of_the_step(tmp_path: Path, settings: dict[str, bool]):
    _, reports = trained(tmp_path / "changed", max_steps=1, **settings)
    _, plain = trained(tmp_path / "plain", max_steps=1)
    tolerance = 0.03 if settings.get("bf16") else 1e-6
    assert weights_of(reports[0]) == pytest.approx(weights_of(plain[0]), rel=tolerance)
    assert (weights_of(reports[0]) == weights_of(plain[0])) != bool(settings.get("bf16"))


def test_adapters_are_balanced_by_their_own_gradients(tmp_path: Path):
    party = balanced(max_steps=2)
    model = add_lora(party.model, r=2, alpha=4, dropout=0.0, target_modules="all-linear")
    party = replace(party, model=model, reader=ForwardModel(model).probe())
    found = {id(parameter) for parameter in last_layer(party.reader)}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in found}
    assert names and all("lora" in name and ".layers.1." in name for name in names)
    reports: list[StepReport] = []
    train([party], Rows(), folder=tmp_path, on_step=reports.append)
    assert sum(weights_of(reports[-1])) == pytest.approx(1.0)


def toy(*slopes: float) -> Party:
    """Logit a * b, from two layers of one weight; term i is slope_i times it: its norm is |slope_i * a|."""

    class Toy(nn.Module):
        config = SimpleNamespace(is_encoder_decoder=False)

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(2))
            nn.init.constant_(self.layers[0].weight, 2.0)
            nn.init.constant_(self.layers[1].weight, 0.5)

    class Read(ForwardModel):
        def read(self, inputs: dict[str, torch.Tensor], needs: Needs) -> Outputs:
            value = self.model.layers[1](self.model.layers[0](torch.ones(len(inputs["input_ids"]), 1)))
            return Outputs(logits=torch.cat([value, torch.zeros_like(value)], -1))

    def pulls(slope: float):
        return lambda student_logits: slope * student_logits[..., 0]

    terms = [Term(f"t{place}", pulls(slope), ("student_logits",)) for place, slope in enumerate(slopes)]
    model = Toy()
    party = replace(student_party(max_steps=1), balance="gradient_magnitude")
    return replace(party, model=model, reader=Read(model), criterion=Criterion(terms), answer=None)


class Classes:
    """Eight rows with a class each."""

    def __len__(self) -> int:
        return 8

    def batch(self, indices: list[int]) -> Batch:
        ids = torch.zeros(len(indices), 1, dtype=torch.long)
        return Batch({"input_ids": ids}, ids[:, 0], [(str(index),) for index in indices])


def toy_weights(folder: Path, *slopes: float) -> dict[str, float]:
    reports: list[StepReport] = []
    train([toy(*slopes)], Classes(), folder=folder, on_step=reports.append)
    return {name: value for name, value in reports[0].terms.items() if name.startswith("weight_")}


def test_a_linear_toy_by_hand(tmp_path: Path):
    # Slopes 1, -2 and 4 have norms in the ratio 1 : 2 : 4; inverses 4 : 2 : 1, which add up to 7.
    expected = {"weight_t0": 4 / 7, "weight_t1": 2 / 7, "weight_t2": 1 / 7}
    assert toy_weights(tmp_path, 1.0, -2.0, 4.0) == pytest.approx(expected, rel=1e-6)


def test_a_term_without_a_gradient_gets_weight_0(tmp_path: Path):
    expected = {"weight_t0": 0.0, "weight_t1": 0.75, "weight_t2": 0.25}
    assert toy_weights(tmp_path / "one", 0.0, 1.0, 3.0) == pytest.approx(expected, rel=1e-6)
    assert set(toy_weights(tmp_path / "all", 0.0, 0.0).values()) == {0.0}


def test_a_tiny_gradient_does_not_overflow(tmp_path: Path):
    found = toy_weights(tmp_path, 1e-30, 1.0)
    assert found == pytest.approx({"weight_t0": 1.0, "weight_t1": 1e-30}, rel=1e-5)


def test_a_gradient_that_is_not_finite_stops_the_step_and_names_the_rows(tmp_path: Path):
    party = balanced(per_device_train_batch_size=1, gradient_accumulation_steps=24)

    def poisoned(batch: Batch) -> Outputs:
        answer = teacher_answer(batch)
        return replace(answer, hidden=answer.hidden * (float("nan") if batch.row_ids[0][0] == "row-5" else 1))

    before = flat(party)
    with pytest.raises(NotFiniteError, match=r"step 1 must be finite.*rows row-5\."):
        train([replace(party, answer=poisoned)], Rows(), folder=tmp_path)
    assert torch.equal(flat(party), before)


def test_learnt_hyperparameters_are_balanced_with_their_term(tmp_path: Path):
    party = balanced(max_steps=2)
    terms = [
        replace(party.criterion.terms[0], trainable=Trainable(temperature(), 0.1)),
        party.criterion.terms[1],
    ]
    party = replace(party, criterion=Criterion(terms))
    before = float(terms[0].trainable.module.tau.detach())
    train([party], Rows(), folder=tmp_path)
    assert float(terms[0].trainable.module.tau.detach()) != before
    assert terms[0].trainable.module.tau.requires_grad


def test_a_term_that_never_reads_the_last_layer_is_refused(tmp_path: Path):
    party = balanced()
    early = Term(
        "state_mse",
        state_mse,
        ("student_states", "teacher_states", "attention_mask"),
        layers=LayerMap((0,), (0,)),
    )
    party = replace(party, criterion=Criterion([party.criterion.terms[1], early]))

    def answer(batch: Batch) -> Outputs:
        teacher = tiny.tiny_llama(vocab=61, seed=2)
        return ForwardModel(teacher).probe().read(batch.inputs, party.criterion.teacher_needs)

    with pytest.raises(ConfigError, match="got state_mse, which reads earlier ones alone"):
        train([replace(party, answer=answer)], Rows(), folder=tmp_path)
    assert all(parameter.requires_grad for parameter in party.model.parameters())


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (tiny.tiny_gpt2, "transformer.h.1."),
        (
            tiny.tiny_t5,
            "decoder.block.1.",
        ),  # each block has a list of three sublayers: longer than two blocks
        (tiny.tiny_bart, "model.decoder.layers.1."),
        (tiny.tiny_bert, "encoder.layer.1."),
    ],
)
def test_the_last_layer_is_that_of_the_longest_list(model, expected: str):
    made = model()
    found = {id(parameter) for parameter in last_layer(ForwardModel(made))}
    names = [name for name, parameter in made.named_parameters() if id(parameter) in found]
    assert names == [name for name in dict(made.named_parameters()) if name.startswith(expected)]


def test_models_that_cannot_be_balanced_are_refused_by_name():
    class Flat(nn.Module):
        config = SimpleNamespace(is_encoder_decoder=False)

    with pytest.raises(ModelError, match=r"must hold its layers in a ModuleList .* got Flat"):
        last_layer(ForwardModel(Flat()))
    frozen = tiny.tiny_llama()
    frozen.model.layers[-1].requires_grad_(False)
    with pytest.raises(ModelError, match=r"the last layer must be trained .* got a LlamaForCausalLM"):
        last_layer(ForwardModel(frozen))


def test_a_transformers_trainer_refuses_it():
    with pytest.raises(ConfigError, match=r"balance must be None in a transformers\.Trainer"):
        DistilTrainer(balanced(), Rows(), args=SimpleNamespace(remove_unused_columns=False))
