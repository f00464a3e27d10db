"""A masked language model taught by another, from the recipe to the folder that transformers loads."""

import json
import os
import signal

import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM

import limbeck
from limbeck.core.errors import Interrupted, UserError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.models import save_model
from limbeck.recipes.model import Recipe
from limbeck.report.build import build_report
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from limbeck.teachers import LocalTeacher
from tests import tiny

WORDS = ("cat", "dog", "bird", "fish", "horse", "mouse")


@pytest.fixture
def world(tmp_path):
    """Rows in which words follow one another in a fixed order, and two models that know nothing yet."""
    tokenizer = tiny.tiny_encoder_tokenizer()
    for name, layers, seed in (("teacher", 3, 1), ("student", 1, 2)):
        model = tiny.tiny_masked_bert(vocab=len(tokenizer), layers=layers, seed=seed)
        save_model(model, tokenizer, tmp_path / name)
    texts = [" ".join(WORDS[(start + k) % 6] for k in range(5)) for start in range(6)] * 6
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"{text} {n}"}) + "\n" for n, text in enumerate(texts)))
    return tmp_path


def recipe(world, *, max_steps=6, more=()):
    train = {
        "rows": "rows.train", "max_steps": max_steps, "max_length": 32, "learning_rate": 3e-3, "seed": 1,
        "per_device_train_batch_size": 8, "save_steps": 2, "mlm_probability": 0.3,
    }  # fmt: skip
    terms = [{"name": "forward_kl", "weight": 0.5}, {"name": "cross_entropy", "weight": 0.5}, *more]
    measured = {
        "model": "student", "teacher": "tuned", "baseline": str(world / "student"), "rows": "rows.heldout",
        "max_length": 32, "metrics": ["masked_tokens", "fidelity", "calibration", "speed"],
    }  # fmt: skip
    tuned = {"out": "tuned", "student": str(world / "teacher"), "objective": [{"name": "cross_entropy"}]}
    taught = {"out": "student", "student": str(world / "student"), "teacher": "tuned", "objective": terms}
    rows = {"out": "rows", "path": str(world / "rows.jsonl"), "heldout": 12}
    steps = [{"load": rows}, {"train": train | tuned}, {"train": train | taught}, {"evaluate": measured}]
    return Recipe.from_data({"limbeck": 1, "name": "masked", "steps": steps})


def weights(folder):
    return dict(AutoModelForMaskedLM.from_pretrained(folder).named_parameters())


def test_a_student_learns_hidden_tokens_from_its_teacher_and_is_saved_as_what_it_is(world):
    states = {"name": "state_mse", "weight": 0.1, "layers": {"student": [-1], "teacher": [-1]}}
    run = limbeck.run(recipe(world, max_steps=30, more=(states,)), out=world / "run")
    found = run.evaluation["metrics"]["masked_tokens"]["subjects"]
    untaught = next(one["name"] for one in run.evaluation["subjects"] if one["role"] == "baseline")
    nats = {name: one["masked_cross_entropy"]["value"] for name, one in found.items()}
    assert nats["student"] < 0.7 * nats[untaught]
    assert found["student"]["masked_perplexity"]["value"] == pytest.approx(2.718281828 ** nats["student"])
    overall = run.evaluation["metrics"]["fidelity"]["subjects"]
    assert overall["student"]["overall"]["forward_kl"]["value"] < 0.5
    assert AutoConfig.from_pretrained(run.student).architectures == ["BertForMaskedLM"]
    assert weights(run.student)
    build_report(world / "run")
    card = (world / "run" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: fill-mask" in card and "AutoModelForMaskedLM" in card
    page = (world / "run" / "report.html").read_text(encoding="utf-8")
    assert "tokens are in the loss" not in page  # which ones are, is drawn in each step
    assert "Cross-entropy of hidden tokens, nats" in page and "Hidden tokens found" in page


class Stopping(Silent):
    """Ends this process's training of the student after its third step."""

    def trained(self, stage, report):
        if stage.out == "student" and report.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_training_that_was_ended_goes_on_to_the_very_same_weights(world):
    made = recipe(world)
    whole = limbeck.run(made, out=world / "whole")
    with pytest.raises(Interrupted):
        limbeck.run(made, out=world / "ended", progress=Stopping())
    ended = limbeck.run(made, out=world / "ended")
    expected = weights(whole.student)
    assert all(torch.equal(one, expected[name]) for name, one in weights(ended.student).items())
    assert ended.evaluation["metrics"]["masked_tokens"] == whole.evaluation["metrics"]["masked_tokens"]


def test_teacher_and_student_read_the_same_hidden_tokens(world, monkeypatch):
    students, teachers, read, answer = [], [], ForwardModel.read, LocalTeacher.answer

    def reading(reader, inputs, needs):
        if reader.model.training:
            students.append(inputs["input_ids"].clone())
        return read(reader, inputs, needs)

    def answering(teacher, batch, needs):
        teachers.append(batch.inputs["input_ids"].clone())
        return answer(teacher, batch, needs)

    data = recipe(world, max_steps=2).to_data()
    taught = {"steps": [data["steps"][0], data["steps"][2]]}
    taught["steps"][1]["train"]["teacher"] = str(world / "teacher")
    monkeypatch.setattr(ForwardModel, "read", reading)
    monkeypatch.setattr(LocalTeacher, "answer", answering)
    limbeck.run(Recipe.from_data(data | taught), out=world / "run")
    assert len(students) == len(teachers) == 2 and not torch.equal(students[0], students[1])
    mask = tiny.tiny_encoder_tokenizer().mask_token_id
    for own, others in zip(students, teachers, strict=True):
        assert (own == mask).any() and torch.equal(own, others)


def test_a_plan_says_what_does_not_go_with_hidden_tokens(world):
    data = recipe(world).to_data()
    data["steps"][3]["evaluate"]["metrics"] = ["perplexity"]
    data["steps"].insert(
        1, {"capture": {"out": "kept", "teacher": str(world / "teacher"), "rows": "rows.train"}}
    )
    with pytest.raises(UserError) as caught:
        make_plan(Recipe.from_data(data), world / "run")
    said = str(caught.value)
    assert "masked_tokens" in said and "got perplexity" in said
    assert "must be causal or seq2seq to be captured, got masked_lm" in said


def test_a_plan_says_that_tokens_are_hidden(world):
    plan, _ = make_plan(recipe(world), world / "run")
    assert any("hidden anew in each step" in note for step in plan.steps for note in step.notes)
