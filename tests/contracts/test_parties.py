"""Parties of a training: each asks, clips, reports and resumes for itself, whoever learns beside it."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from limbeck.core.batch import Batch
from limbeck.core.errors import Interrupted, RunFolderError
from limbeck.core.outputs import Outputs
from limbeck.engine import Party, StepReport, train
from limbeck.objectives.criterion import Criterion
from tests.engine.world import Rows, student_party, teacher_answer


def weights(party: Party) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in party.model.parameters()])


def test_a_second_party_learns_only_in_its_turn(tmp_path: Path) -> None:
    student, critic = student_party(max_steps=3), student_party(max_steps=3)
    before = weights(critic).clone()
    never = replace(critic, name="critic", turn=lambda step: False)
    train([student, never], Rows(), folder=tmp_path / "never")
    assert torch.equal(weights(critic), before)
    alone = student_party(max_steps=3)
    train([alone], Rows(), folder=tmp_path / "alone")
    assert torch.equal(weights(student), weights(alone))
    always = replace(critic, name="critic")
    train([student_party(max_steps=3), always], Rows(), folder=tmp_path / "always")
    assert torch.equal(weights(critic), weights(alone))


def test_each_party_asks_whom_it_names_right_before_it_reads_a_micro_batch(tmp_path):
    events: list[str] = []

    def noting(name: str, *, asks: bool) -> Party:
        def answer(batch: Batch) -> Outputs:
            events.append(f"{name} asks")
            return teacher_answer(batch)

        party = student_party(max_steps=1, per_device_train_batch_size=4, gradient_accumulation_steps=2)
        party.model.model.register_forward_pre_hook(lambda *_: events.append(f"{name} reads"))
        terms = party.criterion.terms if asks else party.criterion.terms[1:]
        return replace(party, name=name, answer=answer if asks else None, criterion=Criterion(terms))

    train([noting("student", asks=True), noting("critic", asks=False)], Rows(), folder=tmp_path)
    assert events == ["student asks", "student reads"] * 2 + ["critic reads"] * 2


def test_each_party_clips_by_its_own_norm_and_reports_its_own_step(tmp_path):
    def with_norm(name: str, most: float, rate: float) -> Party:
        return replace(student_party(max_grad_norm=most, learning_rate=rate, max_steps=1), name=name)

    alone = with_norm("student", 0.01, 0.002)
    train([alone], Rows(), folder=tmp_path / "alone")
    reports: list[StepReport] = []
    student, critic = with_norm("student", 0.0, 0.01), with_norm("critic", 0.01, 0.002)
    unclipped = with_norm("gate", 0.0, 0.002)
    train([student, critic, unclipped], Rows(), folder=tmp_path / "both", on_step=reports.append)
    assert torch.equal(weights(critic), weights(alone)) and not torch.equal(weights(student), weights(alone))
    assert not torch.equal(weights(critic), weights(unclipped))
    (report,) = reports
    names = {"loss", "forward_kl", "cross_entropy", "grad_norm", "learning_rate"}
    assert report.parties.keys() == {f"{party}/{name}" for party in ("critic", "gate") for name in names}
    # Equal weights, equal rows: the same loss and norm before clipping.
    assert report.parties["critic/loss"] == report.loss
    assert report.parties["critic/grad_norm"] == report.grad_norm > 0.01
    assert (report.learning_rate, report.parties["critic/learning_rate"]) == (0.01, 0.002)
    (line,) = (tmp_path / "both" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["parties"] == dict(report.parties)


def test_who_learns_beside_the_student_changes_nothing_in_it_nor_in_one_another(tmp_path):
    # Dropout in all of them: the others have streams of random numbers of their own, by name.
    settings = {"max_steps": 3, "dropout": 0.3, "save_steps": 1}
    alone = student_party(**settings)
    train([alone], Rows(), folder=tmp_path / "alone")
    found, told = [], []
    for place, names in enumerate((("critic", "gate"), ("gate", "critic"))):
        parties = [replace(student_party(**settings), name=name) for name in ("student", *names)]
        reports: list[StepReport] = []
        train(parties, Rows(), folder=tmp_path / str(place), on_step=reports.append)
        assert torch.equal(weights(parties[0]), weights(alone))
        found.append({party.name: weights(party) for party in parties})
        told.append([(report.loss, dict(report.parties)) for report in reports])
    assert told[0] == told[1]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert not torch.equal(found[0]["critic"], found[0]["gate"])


def test_the_learning_rate_of_a_party_runs_over_its_own_turns(tmp_path):
    # A cosine over two updates: whole, then half of it.
    every_second = replace(student_party(max_steps=4), name="critic", turn=lambda step: step % 2 == 0)
    reports: list[StepReport] = []
    train([student_party(max_steps=4), every_second], Rows(), folder=tmp_path, on_step=reports.append)
    rates = [report.parties.get("critic/learning_rate") for report in reports]
    assert rates == [0.01, None, pytest.approx(0.005), None]


def test_a_checkpoint_of_other_parties_is_refused_and_one_of_the_same_goes_on(tmp_path):
    def parties(*names: str) -> list[Party]:
        return [replace(student_party(max_steps=4, dropout=0.2, save_steps=1), name=name) for name in names]

    def stop(report: StepReport) -> None:
        if report.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    whole, resumed = parties("student", "critic"), parties("student", "critic")
    train(whole, Rows(), folder=tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(parties("student", "critic"), Rows(), folder=tmp_path / "cut", on_step=stop)
    with pytest.raises(RunFolderError, match="got parties student where it has parties student, critic"):
        train(parties("student"), Rows(), folder=tmp_path / "cut")
    train(resumed, Rows(), folder=tmp_path / "cut")
    for one, other in zip(whole, resumed, strict=True):
        assert torch.equal(weights(one), weights(other))
