"""Whole runs of students with another tokenizer than the model they are made from."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import limbeck
from limbeck.core.errors import UserError
from limbeck.core.models import read_config
from limbeck.recipes.model import Recipe
from limbeck.recipes.students import Student
from limbeck.report.build import build_report
from limbeck.runs.assembly.models import read_info, tokenizer_of
from limbeck.runs.assembly.students import made_info, make_student
from limbeck.runs.assembly.students.making import Making
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.fingerprints import fingerprint_steps
from tests import tiny


def recipe(world, student, *, rows="texts", teacher="teacher", **measured):
    train = {
        "out": "student", "student": student, "rows": "rows.train", "objective": ["cross_entropy"],
        "max_steps": 2, "max_length": 128,
    }  # fmt: skip
    evaluate = {
        "out": "evaluation", "model": "student", "teacher": str(world / teacher), "rows": "rows.heldout",
        "metrics": ["perplexity", "fidelity", "generation", "speed"], "max_length": 128, "prompts": 3,
        "max_new_tokens": 4, **measured,
    }  # fmt: skip
    load = {"out": "rows", "path": str(world / f"{rows}.jsonl"), "heldout": 6}
    steps = [{"load": load}, {"train": train}, {"evaluate": evaluate}]
    return Recipe.from_data({"limbeck": 1, "name": "tokens", "steps": steps})


@pytest.mark.parametrize("rows", ["texts", "answers"])
def test_a_byte_student_is_trained_and_evaluated_beside_its_teacher(world, tmp_path, rows):
    given = recipe(world, {"model": str(world / "teacher"), "tokenizer": "bytes"}, rows=rows)
    assert Recipe.from_yaml(given.to_yaml()) == given
    run = limbeck.run(given, out=tmp_path / "run")
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(run.student),
        AutoTokenizer.from_pretrained(run.student),
    )
    ids = tokenizer("né", return_tensors="pt")["input_ids"]
    assert ids[0].tolist() == [257, *"né".encode()]
    with torch.no_grad():
        assert model(ids).logits.shape == (1, 4, 259)
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    perplexity = found["metrics"]["perplexity"]["subjects"]
    assert all(0 < perplexity[name]["bits_per_byte"]["value"] < 50 for name in ("student", "teacher"))
    assert found["metrics"]["fidelity"]["subjects"] == {}
    page = build_report(tmp_path / "run").read_text()
    assert "In other tokens than the student, teacher reads the same rows" in page
    assert "The student has bits per byte " in page
    assert "Top-1 agreement with the teacher" not in page


@pytest.mark.parametrize(
    "student",
    [
        {"model": "teacher"},
        {"cut": "teacher", "layers": 2},
        {"fresh": "teacher", "sizes": {"hidden_size": 16, "intermediate_size": 32}},
    ],
)
def test_what_is_planned_is_what_is_made(world, student):
    form = next(iter(student))
    given = Student.model_validate({**student, form: str(world / "teacher"), "tokenizer": "bytes"})
    shape = made_info(given, read_info(str(world / "teacher")), None)
    made = make_student(given, Making(str(world / "teacher"), "causal", 0))
    assert sum(weight.numel() for weight in made.parameters()) == shape.parameters
    assert made.config.vocab_size == shape.vocabulary == 259
    for config in (made.config, made.generation_config, shape.config):
        assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (256, 257, 258)
    assert tokenizer_of(shape)("a")["input_ids"] == [257, 97]


def test_a_pruned_student_is_carried_over_behind_the_pruning(world, tmp_path):
    build = {
        "out": "small", "rows": "rows.train", "calibration_rows": 4, "max_length": 32,
        "student": {"prune": str(world / "teacher"), "sizes": {"num_hidden_layers": 2}, "tokenizer": "bytes"},
    }  # fmt: skip
    load = {"out": "rows", "path": str(world / "texts.jsonl")}
    given = Recipe.from_data({"limbeck": 1, "name": "pruned", "steps": [{"load": load}, {"build": build}]})
    limbeck.run(given, out=tmp_path / "run")
    folder = next((tmp_path / "run" / "steps").glob("*-build-small")) / "model"
    assert read_config(folder).vocab_size == 259
    assert len(AutoTokenizer.from_pretrained(folder)) == 259


def test_a_folder_of_a_tokenizer_counts_by_what_it_says(world, tmp_path):
    marks = []
    for size in (300, 310):
        tiny.tiny_tokenizer(vocab=size).save_pretrained(tmp_path / "tokens")
        given = recipe(world, {"model": str(world / "teacher"), "tokenizer": str(tmp_path / "tokens")})
        marks.append([mark.value for mark in fingerprint_steps(given)])
    assert marks[0][0] == marks[1][0] and marks[0][1] != marks[1][1]


def test_the_plan_says_who_reads_other_tokens(world, tmp_path):
    given = recipe(world, {"model": str(world / "teacher"), "tokenizer": "bytes"})
    plan, _ = make_plan(given, tmp_path)
    said = "teacher reads other tokens: compared in bits per byte, written text and speed"
    assert plan.steps[-1].notes[0] == said


def test_a_teacher_of_fewer_positions_reads_shorter_windows(world, tmp_path):
    short = tiny.tiny_llama(layers=1, max_position_embeddings=32)
    limbeck.core.models.save_model(short, tiny.tiny_tokenizer(), tmp_path / "short")
    student = {"model": str(world / "teacher"), "tokenizer": "bytes"}
    given = recipe(world, student, teacher=str(tmp_path / "short"), metrics=["perplexity"])
    limbeck.run(given, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (
            {"model": "teacher", "tokenizer": "./nowhere"},
            r"student\.tokenizer: tokenizer must be .*does not exist",
        ),
        ({"model": "teacher", "tokenizer": "{world}"}, r"student\.tokenizer: tokenizer must be .* has none"),
        ({"model": "bert", "tokenizer": "bytes"}, r"tokenizer: must go with a causal model.*got encoder"),
    ],
)
def test_refuses_what_cannot_be_carried_over(world, tmp_path, student, message):
    student = {"model": str(world / student["model"]), "tokenizer": student["tokenizer"].format(world=world)}
    with pytest.raises(UserError, match=message):
        limbeck.run(recipe(world, student), out=tmp_path / "run")


def test_refuses_a_tokenizer_without_an_end_before_anything_is_trained(world, tmp_path):
    tokenizer = tiny.tiny_tokenizer()
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path / "endless")
    student = {"model": str(world / "teacher"), "tokenizer": str(tmp_path / "endless")}
    with pytest.raises(UserError, match="tokenizer: must have an end token"):
        limbeck.run(recipe(world, student), out=tmp_path / "run")
