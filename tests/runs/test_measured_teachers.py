"""A recipe whose teacher is a store measures beside the model that was captured, if that is there."""

import shutil

import pytest

import limbeck
from limbeck.core.errors import ConfigError
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.commands.capture import capturing
from limbeck.runs.launch import run
from limbeck.runs.record.progress import Silent
from limbeck.runs.resolve import resolve

SMALL = {"max_length": 48, "heldout": 4, "max_steps": 1, "per_device_train_batch_size": 2}


@pytest.fixture(scope="module")
def store(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("captured")
    shutil.copytree(world / "teacher", folder / "teacher")
    recipe = capturing(
        str(folder / "teacher"), str(world / "answers.jsonl"), folder / "store", {"max_length": 48}
    )
    run(recipe, folder / "run", progress=Silent())
    return folder


def word_kd(world, teacher):
    return resolve(
        "word_kd",
        {
            "teacher": teacher,
            "student": str(world / "student"),
            "data": str(world / "answers.jsonl"),
            **SMALL,
        },
    )


def test_word_kd_of_a_store_runs_in_one_go(world, store, tmp_path):
    recipe = word_kd(world, {"signals": str(store / "store")})
    train, evaluate = recipe.steps[-2:]
    assert train.teacher.signals == str(store / "store")
    assert evaluate.teacher.model == str(store / "teacher")
    planned, _ = make_plan(recipe, tmp_path)
    said = f"Beside the model that was captured: {store / 'store'} is of {store / 'teacher'}."
    assert said in planned.steps[-1].notes
    done = limbeck.run(recipe, tmp_path / "run", progress=Silent())
    assert "fidelity" in done.evaluation["metrics"]


def test_without_the_captured_model_fidelity_is_left_out_and_the_plan_says_so(world, store, tmp_path):
    moved = tmp_path / "moved"
    (store / "teacher").rename(moved)
    try:
        recipe = word_kd(world, {"signals": str(store / "store")})
        planned, _ = make_plan(recipe, tmp_path)
    finally:
        moved.rename(store / "teacher")
    evaluate = recipe.steps[-1]
    assert evaluate.teacher is None
    assert evaluate.metrics == ("perplexity", "calibration", "generation", "speed")
    (note,) = [note for note in planned.steps[-1].notes if note.startswith("Without a teacher")]
    assert f"{store / 'store'} is of {store / 'teacher'}, which is not here" in note
    assert "steps.evaluation.teacher=DIR_OR_ID" in note


def test_stores_in_an_ensemble_are_measured_as_the_models_they_are_of(world, store):
    members = [{"signals": str(store / "store")}, {"model": str(world / "teacher"), "weight": 2}]
    (first, second) = word_kd(world, {"ensemble": members}).steps[-1].teacher.ensemble
    assert (first.teacher.model, first.name) == (
        str(store / "teacher"), str(store / "store")
    )  # fmt: skip
    assert (second.teacher.model, second.weight) == (str(world / "teacher"), 2)


def test_a_recipe_that_names_a_store_where_it_measures_is_refused(world, store):
    recipe = word_kd(world, {"signals": str(store / "store")})
    with pytest.raises(ConfigError, match="asks about rows that were held out, and the store"):
        resolve(recipe, {"steps.evaluation.teacher": {"signals": str(store / "store")}})
