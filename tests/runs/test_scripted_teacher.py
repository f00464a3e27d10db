"""A form of teacher that gives text alone writes rows as a model does, and is refused elsewhere."""

import json

import pytest
from datasets import load_from_disk

import limbeck
from limbeck.core.errors import ConfigError
from limbeck.recipes import Recipe
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.runs.scripted import scripted
from tests.runs.world import write_rows

__all__ = ["scripted"]

pytestmark = pytest.mark.usefixtures("scripted")


@pytest.fixture
def data(tmp_path):
    rows = [{"prompt": f"the cat {n}", "completion": f"data {n}"} for n in range(10)]
    write_rows(tmp_path / "rows.jsonl", rows)
    lines = {f"the cat {n}": f"script {n}" for n in range(8)}
    (tmp_path / "script.json").write_text(json.dumps(lines), encoding="utf-8")
    return tmp_path


def recipe(world, data, **changes) -> Recipe:
    teacher = {"script": str(data / "script.json")}
    steps = [
        {"load": {"out": "rows", "path": str(data / "rows.jsonl"), "heldout": 0}},
        {"generate": {"out": "written", "teacher": teacher, "rows": "rows.train"}},
        {
            "train": {
                "out": "student",
                "student": str(world / "student"),
                "rows": "written",
                "objective": ["cross_entropy"],
                "max_steps": 1,
                "max_length": 32,
                **changes,
            }
        },
    ]  # fmt: skip
    return Recipe.from_data({"limbeck": 1, "name": "scripted", "steps": steps})


def test_rows_are_answered_by_the_script_and_learnt_from(world, data):
    made = recipe(world, data)
    assert Recipe.from_yaml(made.to_yaml()) == made
    plan, _ = make_plan(made, data / "run")
    assert plan.steps[1].seconds == 0 and plan.steps[1].rows == 10
    done = limbeck.run(made, data / "run", progress=Silent())
    written = load_from_disk(str(done.folder / "steps" / "1-generate-written" / "rows"))
    assert written["completion"] == [f"script {n}" for n in range(8)]
    record = json.loads((done.folder / "steps" / "1-generate-written" / "done.json").read_text())
    assert "2 empty completions were left out." in record["notes"]


def test_an_operator_asks_the_script_through_the_request_engine(world, data):
    elicit = {
        "out": "made", "teacher": {"script": str(data / "script.json")}, "rows": "rows.train",
        "operator": "answer", "failures": 0.5,
    }  # fmt: skip
    load = {"load": {"out": "rows", "path": str(data / "rows.jsonl"), "heldout": 0}}
    made = Recipe.from_data({"limbeck": 1, "name": "asked", "steps": [load, {"elicit": elicit}]})
    assert make_plan(made, data / "run")[0].steps[1].notes[0] == "10 look-ups."
    done = limbeck.run(made, data / "run", progress=Silent())
    rows = load_from_disk(str(done.folder / "steps" / "1-elicit-made" / "rows"))
    assert rows["completion"] == [f"script {n}" for n in range(8)]
    assert done.yields["made"]["failures"] == {"unknown": 2}


def test_objectives_on_distributions_are_refused_in_one_sentence(world, data):
    with pytest.raises(ConfigError) as told:
        limbeck.run(recipe(world, data, objective=["forward_kl"], teacher={"script": "s.json"}), data / "run")
    assert str(told.value).startswith(
        "steps.2.train.objective.0: objective forward_kl reads teacher_logits, and the script s.json gives "
        "text that it writes."
    )


def test_a_script_that_is_not_there_is_refused_by_the_plan(world, data):
    (data / "script.json").unlink()
    with pytest.raises(ConfigError, match=r"steps\.1\.generate\.teacher\.script: must be a file"):
        make_plan(recipe(world, data), data / "run")
