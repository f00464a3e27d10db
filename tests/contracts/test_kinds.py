"""Every kind of model: rows become batches with a loss, and a plan runs, is measured and reported."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset

import limbeck
from limbeck.core.batch import Batch
from limbeck.core.decoder_start import decoder_start
from limbeck.core.forward_model import ForwardModel
from limbeck.core.kinds import kind_named, kind_names
from limbeck.core.measures import MEASURES, expects_teacher, metrics_of
from limbeck.core.models import kind_of, load_model, read_config, save_model
from limbeck.core.term import LayerMap, Term
from limbeck.objectives import forward_kl, state_mse
from limbeck.objectives.criterion import Criterion
from limbeck.recipes.model import Recipe
from limbeck.report.build import build_report
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PaddedSource
from limbeck.rows.text_kind import text_kind
from tests import tiny

WORDS = ("cat", "dog", "bird", "fish")
STEP = SimpleNamespace(seed=3, mlm_probability=0.3)


@dataclass(frozen=True)
class Case:
    """What a kind is tried with: models of two seeds, a tokenizer, a row by its number, and an objective."""

    model: Callable[..., Any]
    tokenizer: Callable[[], Any]
    row: Callable[[int], dict[str, Any]]
    objective: str = "forward_kl"
    label_names: tuple[str, ...] = ()


def text(number: int) -> str:
    return " ".join(WORDS[(number + place) % 4] for place in range(4)) + f" {number}"


CASES = {
    "causal": Case(tiny.tiny_llama, tiny.tiny_tokenizer, lambda n: {"text": text(n)}),
    "seq2seq": Case(
        tiny.tiny_t5, tiny.tiny_seq2seq_tokenizer, lambda n: {"prompt": text(n), "completion": WORDS[n % 4]}
    ),
    "encoder": Case(tiny.tiny_bert, tiny.tiny_encoder_tokenizer, lambda n: {"text": text(n)}, "state_mse"),
    "classifier": Case(
        tiny.tiny_classifier,
        tiny.tiny_encoder_tokenizer,
        lambda n: {"text": text(n), "label": "odd" if n % 2 else "even"},
        label_names=("even", "odd"),
    ),
    "masked_lm": Case(tiny.tiny_masked_bert, tiny.tiny_encoder_tokenizer, lambda n: {"text": text(n)}),
}
NAMES = sorted(CASES)
LAST = LayerMap((-1,), (-1,))
STATES = ("student_states", "teacher_states", "attention_mask")
TERMS = {
    "forward_kl": Term("forward_kl", forward_kl, ("student_logits", "teacher_logits")),
    "state_mse": Term("state_mse", state_mse, STATES, layers=LAST),
}


def made(name: str, *, seed: int = 0) -> tuple[Any, Any]:
    case = CASES[name]
    sizes = {"classes": len(case.label_names)} if case.label_names else {}
    return case.model(seed=seed, **sizes), case.tokenizer()


def first_batch(name: str, count: int = 4) -> Batch:
    case = CASES[name]
    model, tokenizer = made(name)
    rows = Dataset.from_list([{**case.row(number), "id": f"r{number}"} for number in range(count)])
    rendering = Rendering(model_kind=name, max_length=48, label_names=case.label_names)
    start = decoder_start(model.config, tokenizer)
    source = PaddedSource(render(rows, tokenizer, rendering), rendering, tokenizer.pad_token_id, start)
    return text_kind(name).drawn(source.batch(range(count)), tokenizer, STEP, at=0)


def test_the_battery_knows_every_kind():
    assert tuple(NAMES) == kind_names()


@pytest.mark.parametrize("name", NAMES)
def test_rows_become_a_batch_from_which_the_model_learns(name):
    model, batch = made(name)[0], first_batch(name)
    criterion = Criterion([TERMS[CASES[name].objective]])
    with torch.no_grad():
        teacher = ForwardModel(made(name, seed=1)[0]).probe().read(batch.inputs, criterion.student_needs)
    student = ForwardModel(model).probe().read(batch.inputs, criterion.student_needs)
    counts = criterion.counts(batch)
    loss, _ = criterion(student, teacher, batch, counts=counts, step=0, total_steps=1)
    loss.backward()
    assert loss.item() > 0
    assert any(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_is_known_by_its_configuration_and_comes_back_as_it_was(name, tmp_path):
    model, tokenizer = made(name)
    save_model(model, tokenizer, tmp_path / "model")
    config = read_config(tmp_path / "model")
    claiming = [one for one in kind_names() if kind_named(one).is_saved_as(config.architectures[0], config)]
    assert claiming == [name] and kind_of(config) == name
    again, batch = load_model(tmp_path / "model", name), first_batch(name)
    with torch.no_grad():
        expected, got = model.eval()(**batch.inputs), again(**batch.inputs)
    torch.testing.assert_close(got[0], expected[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_that_is_accepted_runs_with_every_metric_and_is_reported(name, tmp_path):
    case, kind = CASES[name], kind_named(name)
    for role, seed in (("teacher", 1), ("student", 2)):
        save_model(*made(name, seed=seed), tmp_path / role)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(case.row(number)) + "\n" for number in range(24)))
    term = {"name": case.objective}
    if case.objective == "state_mse":
        term |= {"layers": {"student": [-1], "teacher": [-1]}}
    train = {
        "out": "student", "student": str(tmp_path / "student"), "teacher": str(tmp_path / "teacher"),
        "rows": "rows.train", "objective": [term], "max_steps": 1, "per_device_train_batch_size": 4,
        "max_length": 48, "learning_rate": 1e-3,
    }  # fmt: skip
    measure = {
        "model": "student", "teacher": str(tmp_path / "teacher"), "baseline": str(tmp_path / "student"),
        "rows": "rows.heldout", "max_length": 48, "metrics": metrics_of(name),
        "max_new_tokens": 2, "prompts": 2,
    }  # fmt: skip
    load = {"out": "rows", "path": str(rows), "heldout": 12}
    steps = [{"load": load}, {"train": train}, {"evaluate": measure}]
    run = limbeck.run(Recipe.from_data({"limbeck": 1, "name": "tried", "steps": steps}), out=tmp_path / "run")
    found = run.evaluation
    assert found["kind"] == name and set(found["metrics"]) == set(metrics_of(name))
    for metric in metrics_of(name):
        if not expects_teacher(metric):
            assert found["metrics"][metric]["subjects"]["student"]
    assert any(one.of(found, "student") for one in MEASURES.values() if one.label)
    build_report(tmp_path / "run")
    card, page = (
        (tmp_path / "run" / file).read_text(encoding="utf-8") for file in ("README.md", "report.html")
    )
    assert f"pipeline_tag: {kind.pipeline_tag}" in card and kind.auto_class in card and kind.limits in card
    assert "<html" in page
