"""Models of a recipe: read in their dtype and by their options, and refused before anything is run."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from limbeck.core.errors import UserError
from limbeck.core.models import load_model, save_model
from limbeck.recipes.model import Recipe
from limbeck.recipes.students import Student
from limbeck.recipes.teachers import Teacher
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.resolve import resolve
from tests.runs.test_runs import run
from tests.tiny import tiny_llama, tiny_tokenizer

SMALL = {"max_steps": 1, "max_length": 48, "heldout": 6, "steps.3.evaluate.metrics": ["perplexity"]}


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """A teacher and a student as most are published: in bfloat16."""
    folder = tmp_path_factory.mktemp("halves")
    for name, layers, seed in (("teacher", 3, 1), ("student", 1, 2)):
        model = tiny_llama(layers=layers, seed=seed).to(torch.bfloat16)
        save_model(model, tiny_tokenizer(), folder / name)
    return folder


def planned(world, tmp_path, **inputs):
    given = {"data": str(world / "answers.jsonl"), "max_steps": 1, "max_length": 48, **inputs}
    return make_plan(resolve("word_kd", given), tmp_path / "run")[0]


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_models_say_how_they_are_read_and_a_recipe_shows_it():
    teacher = Teacher.model_validate({"model": "org/big", "dtype": "float32", "revision": "v1"})
    assert teacher.model == "org/big?dtype=float32&revision=v1"
    assert teacher.model_dump() == {"model": "org/big", "dtype": "float32", "revision": "v1"}
    assert Teacher.model_validate(teacher.model_dump()) == teacher
    student = Student.model_validate({"cut": "org/big", "layers": 2, "dtype": "bfloat16"})
    assert student.origin == "org/big?dtype=bfloat16"
    assert student.at("start").model_dump() == {"model": "start", "dtype": "bfloat16"}


def test_a_recipe_file_keeps_the_options_of_every_model():
    models = {"model": "DIR", "trust_remote_code": True}
    step = {
        "out": "evaluation",
        "model": models,
        "baseline": {"model": "B", "gguf_file": "b.gguf"},
        "teacher": {"ensemble": [{"model": "C", "dtype": "bfloat16"}, "D"]},
        "rows": "rows.heldout",
        "metrics": ["perplexity"],
    }
    recipe = Recipe.from_data({"limbeck": 1, "name": "x", "steps": [{"evaluate": step}]})
    shown = recipe.to_data()["steps"][0]["evaluate"]
    assert shown["model"] == models and shown["baseline"] == step["baseline"]
    assert [one["model"] for one in shown["teacher"]["ensemble"]] == ["C", "D"]
    assert shown["teacher"]["ensemble"][0]["dtype"] == "bfloat16"
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"model": "A", "dtype": "half"}, "must be 'auto', 'float32', 'bfloat16' or 'float16', got 'half'"),
        ({"signals": "A", "dtype": "bfloat16"}, "dtype goes with model"),
        ({"model": "A", "trust_remote_code": "perhaps"}, "must be true or false"),
    ],
)
def test_options_that_cannot_be_are_refused(teacher, message, world, tmp_path):
    with pytest.raises(UserError, match=message):
        planned(world, tmp_path, teacher=teacher, student=str(world / "student"))


def test_a_bfloat16_student_is_trained_in_float32_and_saved_as_it_came(world, halves, tmp_path):
    given = {"teacher": str(halves / "teacher"), "student": str(halves / "student")}
    done = run("word_kd", tmp_path / "run", data=str(world / "answers.jsonl"), **given, **SMALL)
    assert {tensor.dtype for tensor in weights(done.student).values()} == {torch.bfloat16}
    assert AutoModelForCausalLM.from_pretrained(done.student).dtype == torch.bfloat16
    # Trained in bfloat16, a step of 1e-3 would move far fewer weights than one in float32.
    before, after = weights(halves / "student"), weights(done.student)
    moved = sum(int((before[name] != after[name]).sum()) for name in before)
    assert moved > 0.5 * sum(tensor.numel() for tensor in before.values())
    plan = planned(world, tmp_path, **given)
    trained, evaluated = plan.steps[2], plan.steps[3]
    assert "The student is trained in float32 and saved in bfloat16." in trained.notes
    assert "Teachers are read in bfloat16." in trained.notes
    student, teacher = trained.parameters, trained.teacher_parameters
    assert trained.disk == 2 * student
    assert evaluated.memory == 2 * (student + student + teacher)


def test_dtype_says_what_a_student_is_trained_and_saved_in(world, halves, tmp_path):
    student = {"model": str(halves / "student"), "dtype": "float32"}
    teacher = {"model": str(halves / "teacher"), "dtype": "float32"}
    given = {"teacher": teacher, "student": student}
    done = run("word_kd", tmp_path / "run", data=str(world / "answers.jsonl"), **given, **SMALL)
    assert {tensor.dtype for tensor in weights(done.student).values()} == {torch.float32}
    notes = [note for step in planned(world, tmp_path, **given).steps for note in step.notes]
    assert not [note for note in notes if "saved in" in note or "read in" in note]


def test_a_teacher_in_bfloat16_says_what_it_says_in_float32_within_its_rounding(halves):
    ids = torch.arange(5, 45)[None]
    with torch.no_grad():
        exact, rounded = (
            load_model(halves / "teacher", "causal", dtype=dtype)(ids).logits.float().log_softmax(-1)
            for dtype in ("float32", "auto")
        )
    # bfloat16 keeps 8 bits: 0.4 % a product, on logits of a few units.
    assert (exact.exp() * (exact - rounded)).sum(-1).max() < 5e-3


def broken(world, tmp_path, name="student"):
    return shutil.copytree(world / name, tmp_path / "broken")


def cut_off(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def without_tokenizer(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()


def too_deep(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 10**6}))


def too_wide(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 10**11}))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (cut_off, r"must be a whole safetensors file"),
        (without_tokenizer, r"got no tokenizer\.json"),
        (too_deep, "num_hidden_layers must be from 1 to 2,000"),
        (too_wide, "memory must hold|weights of .* must fit"),
    ],
)
@pytest.mark.parametrize("whose", ["teacher", "student"])
def test_a_model_that_cannot_be_read_is_refused_by_the_plan(harm, message, whose, world, tmp_path):
    folder = broken(world, tmp_path)
    harm(folder)
    given = {"teacher": str(world / "teacher"), "student": str(world / "student"), whose: str(folder)}
    with pytest.raises(UserError, match=message) as error:
        planned(world, tmp_path, **given)
    assert len(error.value.problems) <= 2  # once, or for each of two different things


def test_new_weights_need_a_configuration_and_no_weights(world, tmp_path):
    folder = broken(world, tmp_path)
    (folder / "model.safetensors").unlink()
    student = {"fresh": str(folder), "sizes": {"num_hidden_layers": 1}}
    assert planned(world, tmp_path, teacher=str(world / "teacher"), student=student).steps


def test_tokens_beyond_the_embedding_are_refused_by_the_plan(world, tmp_path):
    folder = broken(world, tmp_path)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["cat"])  # a word of the rows
    save_model(tiny_llama(vocab=len(tokenizer) - 1), tokenizer, folder)
    with pytest.raises(UserError, match=r"rows must hold ids below .* got"):
        make_plan(
            resolve("sft", {"data": str(world / "texts.jsonl"), "student": str(folder), "max_length": 48}),
            tmp_path / "run",
        )
