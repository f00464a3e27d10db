"""Runs that prune: what is built is what was planned, from the rows that were named."""

# ruff: noqa: E501  (messages are written out whole)

import pytest
import torch
from transformers import AutoModelForCausalLM

import limbeck
from limbeck.core.errors import UserError
from limbeck.core.models import count_parameters, save_model
from limbeck.recipes import Recipe
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.fingerprints import fingerprint_steps
from limbeck.runs.record.progress import Silent
from tests import tiny

SMALL = {"max_steps": 2, "per_device_train_batch_size": 4, "heldout": 6, "max_length": 48}


def recipe(world, student, *, data="texts.jsonl", **fields):
    """Rows, and a student built from them."""
    build = {"out": "start", "student": student, "rows": "rows.train", "max_length": 48} | fields
    load = {"out": "rows", "path": str(world / data), "heldout": 6}
    return Recipe.from_data({"limbeck": 1, "name": "pruned", "steps": [{"load": load}, {"build": build}]})


def problems_of(world, out, student, **fields):
    with pytest.raises(UserError) as caught:
        make_plan(recipe(world, student, **fields), out)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("how", "layers"),
    [
        ({"ratio": 0.5}, 3),
        ({"sizes": {"num_hidden_layers": 2}}, 2),
        ({"sizes": {"num_hidden_layers": 2, "hidden_size": 24, "num_attention_heads": 2}}, 2),
        ({"ratio": 0.3, "importance": "activation"}, 3),
    ],
)
def test_what_is_built_has_the_parameters_that_were_planned(world, tmp_path, how, layers):
    made = recipe(world, {"prune": str(world / "teacher"), **how})
    plan, _ = make_plan(made, tmp_path / "run")
    done = limbeck.run(made, tmp_path / "run", progress=Silent())
    built = AutoModelForCausalLM.from_pretrained(done.folder / "steps" / "1-build-start" / "model")
    assert count_parameters(built) == plan.steps[1].parameters
    assert built.config.num_hidden_layers == layers
    if "ratio" in how:
        whole = count_parameters(AutoModelForCausalLM.from_pretrained(world / "teacher"))
        assert count_parameters(built) / whole == pytest.approx(1 - how["ratio"], abs=0.02)


def test_a_recipe_trains_the_pruned_student_it_is_given(world, tmp_path):
    done = limbeck.run(
        "word_kd", tmp_path / "run", progress=Silent(), teacher=str(world / "teacher"),
        student={"prune": str(world / "teacher"), "ratio": 0.4}, data=str(world / "texts.jsonl"),
        **SMALL, **{"steps.1.build.max_length": 48, "steps.4.evaluate.metrics": ["perplexity"]},
    )  # fmt: skip
    student = AutoModelForCausalLM.from_pretrained(done.student)
    teacher = AutoModelForCausalLM.from_pretrained(world / "teacher")
    assert count_parameters(student) < 0.65 * count_parameters(teacher)


def test_a_pruned_student_is_the_same_each_time(world, tmp_path):
    made = recipe(world, {"prune": str(world / "teacher"), "ratio": 0.5}, calibration_rows=6)
    weights = []
    for name in ("one", "two"):
        done = limbeck.run(made, tmp_path / name, progress=Silent())
        weights.append(
            AutoModelForCausalLM.from_pretrained(done.folder / "steps/1-build-start/model").state_dict()
        )
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())


def test_the_fingerprint_of_a_pruned_student_holds_the_rows_it_was_pruned_by(world):
    student = {"prune": str(world / "teacher"), "ratio": 0.5}

    def mark(**changes):
        return fingerprint_steps(recipe(world, student, **changes))[1]

    first = mark()
    assert set(first.reads) == {str(world / "teacher"), "rows.train"}
    assert mark().value == first.value
    others = [mark(data="answers.jsonl"), mark(calibration_rows=3), mark(max_length=32), mark(seed=1)]
    assert len({one.value for one in (first, *others)}) == 5


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (
            {"sizes": {"hidden_size": 64, "intermediate_size": 4}},
            "steps.1.build.student.sizes.hidden_size: must lie between 1 and 32, the model's, got 64.",
        ),
        (
            {"sizes": {"num_attention_heads": 3}},
            "steps.1.build.student.sizes.num_attention_heads: must be a multiple of 2, the query heads that share a key-value head, got 3.",
        ),
    ],
)
def test_a_shape_that_cannot_be_is_said_before_anything_is_read(world, tmp_path, how, expected):
    assert problems_of(world, tmp_path / "run", {"prune": str(world / "teacher"), **how}) == [expected]


def test_models_that_cannot_be_pruned_are_named(world, tmp_path):
    save_model(tiny.tiny_gpt2(), tiny.tiny_tokenizer(), tmp_path / "gpt2")
    assert problems_of(world, tmp_path / "run", {"prune": str(tmp_path / "gpt2"), "ratio": 0.5}) == [
        "steps.1.build.student: a model must be llama, mistral, qwen2 or qwen3 to lose width, got gpt2; others tie constants "
        "to their width or fuse weights. Prune its layers alone, with sizes: {num_hidden_layers: ...}."
    ]
    assert problems_of(world, tmp_path / "run", {"prune": str(world / "bert"), "ratio": 0.5})[0] == (
        "steps.1.build.student.prune: must be a causal model, whose loss says what matters, got encoder. Take some of its "
        "layers with {cut: DIR, layers: ...}."
    )


def test_rows_longer_than_the_model_reads_are_refused(world, tmp_path):
    (tmp_path / "long.jsonl").write_text(
        "".join(f'{{"text": "{number} {"cats sat " * 400}"}}\n' for number in range(12))
    )
    student = {"prune": str(world / "teacher"), "ratio": 0.5}
    (said,) = problems_of(world, tmp_path / "run", student, data=tmp_path / "long.jsonl", max_length=300)
    assert said.startswith("steps.1.build.max_length: must be at most 256, the positions of ")
