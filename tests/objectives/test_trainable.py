"""Learnt hyperparameters: gradients on both paths, their sign in training, and where they end up."""

import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from limbeck.core.errors import Interrupted
from limbeck.core.forward_model import ForwardModel
from limbeck.core.term import LayerMap, Term, Trainable
from limbeck.core.training import TrainingSettings
from limbeck.engine import Party, train
from limbeck.objectives import cross_entropy, forward_kl
from limbeck.objectives.criterion import Criterion
from limbeck.objectives.trainable import temperature
from limbeck.schedules.scheduled import scheduled
from tests.engine.world import VOCABULARY, Rows, teacher_answer
from tests.tiny import tiny_llama

SIGNALS = ("student_logits", "teacher_logits")


def term(scale=1.0, **options) -> Term:
    trainable = Trainable(temperature(**options), 0.1, scale)
    return Term("kl", forward_kl, SIGNALS, hyperparameters={"temperature_squared": True}, trainable=trainable)


def party(*terms: Term, fused: bool = True, **settings) -> Party:
    model = tiny_llama(vocab=VOCABULARY, seed=1)
    chosen = TrainingSettings(**{"max_steps": 1, "learning_rate": 0.01, **settings})
    return Party(
        "student", model, ForwardModel(model).probe(), Criterion(terms, fused=fused), chosen, teacher_answer
    )


def tau(one: Party) -> float:
    return float(one.criterion.terms[0].trainable.module.tau.detach())


def test_the_first_temperature_is_the_published_one():
    assert float(temperature()()["temperature"]) == pytest.approx(1 + 20 / (1 + math.exp(-1)))
    assert float(temperature()()["temperature"]) == pytest.approx(15.62, abs=0.005)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("beside", [False, True])
def test_the_gradient_is_that_of_plain_autograd(fused, beside):
    # By hand: dense logits, softened by hand; another term beside it must not leak into tau.
    mine, batch = term(), Rows().batch([3, 5, 6])
    terms = [replace(mine, weight=0.7)]
    if beside:
        terms.append(Term("ce", cross_entropy, ("student_logits", "labels")))
    one = party(*terms, fused=fused)
    teacher = teacher_answer(batch)
    answer = one.reader.read(batch.inputs, one.criterion.student_needs)
    counts = one.criterion.counts(batch)
    total, _ = one.criterion(answer, teacher, batch, counts=counts, step=0, total_steps=1)
    total.backward()
    found = mine.trainable.module.tau.grad.clone()

    value = torch.tensor(1.0, requires_grad=True)
    warmth = 1 + 20 * value.sigmoid()
    with torch.no_grad():
        loss_mask = batch.loss_mask
        z = one.model(**batch.inputs).logits[loss_mask]
        u = (teacher.hidden @ teacher.head.weight.T)[loss_mask]
    log_q, log_p = (z / warmth).log_softmax(-1), (u / warmth).log_softmax(-1)
    (0.7 * warmth**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()).backward()
    torch.testing.assert_close(found, value.grad, rtol=1e-4, atol=1e-7)


def test_a_negative_scale_moves_it_against_the_student(tmp_path: Path):
    taus = []
    for place, scale in enumerate((1.0, -1.0, 0.0)):
        one = party(term(scale))
        train([one], Rows(), folder=tmp_path / str(place))
        taus.append(tau(one))
    # Adam's first step has the size of the learning rate, 0.1, and the sign of the gradient.
    assert sorted(taus) == pytest.approx([0.9, 1.0, 1.1], abs=1e-4)
    assert taus[2] == 1.0
    assert taus[0] + taus[1] == pytest.approx(2.0, abs=1e-4)


def test_it_is_clipped_apart_from_the_student(tmp_path: Path):
    # A large gradient of tau must not shrink the student's, nor appear in its norm.
    reports = []
    for place, scale in enumerate((0.0, -1e6)):
        one, seen = party(term(scale)), []
        train([one], Rows(), folder=tmp_path / str(place), on_step=seen.append)
        reports.append((seen[0].grad_norm, one.model.lm_head.weight.detach().clone()))
    assert reports[0][0] == reports[1][0]
    assert torch.equal(reports[0][1], reports[1][1])


def test_it_is_no_part_of_the_student_and_part_of_the_checkpoint(tmp_path: Path):
    def slide():
        return scheduled({"schedule": "cosine", "start": 0.0, "stop": -1.0})

    whole = party(term(slide()), max_steps=5)
    train([whole], Rows(), folder=tmp_path / "whole")
    assert not any("tau" in name for name in whole.model.state_dict())

    def stop(report):
        if report.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    first, second = party(term(slide()), max_steps=5), party(term(slide()), max_steps=5)
    with pytest.raises(Interrupted):
        train([first], Rows(), folder=tmp_path / "cut", on_step=stop)
    assert tau(second) == 1.0
    train([second], Rows(), folder=tmp_path / "cut")
    assert tau(second) == tau(whole) != tau(first)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True)
    )


def test_objectives_on_states_take_learnt_values_too():
    # By hand: the objective called with the module's own matrix; what is learnt gets its gradient.
    class Doubled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = torch.nn.Parameter(torch.tensor(2.0))

        def forward(self, student_states):
            assert not student_states.requires_grad
            return {"factor": self.factor * student_states.shape[-1]}

    def scaled(student_states, *, factor):
        return (student_states * factor).sum((1, 2, 3))

    batch, trainable = Rows().batch([3, 5, 6]), Trainable(Doubled(), 0.1)
    layers = LayerMap((0,), (0,))
    one = party(Term("states", scaled, ("student_states",), layers=layers, trainable=trainable))
    answer = one.reader.read(batch.inputs, one.criterion.student_needs)
    total, _ = one.criterion(answer, None, batch, counts=one.criterion.counts(batch), step=0, total_steps=1)
    total.backward()
    states = answer.taps["states", 0].detach()
    mean = states.sum((1, 2)).sum() * states.shape[-1] / batch.rows
    torch.testing.assert_close(trainable.module.factor.grad, mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(total.detach(), 2 * mean, rtol=1e-4, atol=1e-4)
