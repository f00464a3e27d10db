"""Rows judged again: other thresholds, kept scores, files of rows; the run stays as it was."""

import json
from pathlib import Path

import pytest

import limbeck
from limbeck.core.errors import UserError
from limbeck.core.files import hash_file
from limbeck.gates.verdict import verdicts_of
from limbeck.recipes import Recipe
from limbeck.runs.commands.gate import parsed_gates, regate
from limbeck.runs.record.progress import Silent
from tests.runs.served import serving
from tests.runs.world import write_rows

ROWS = [{"prompt": f"question {n}", "completion": "x" * n} for n in range(1, 9)]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run whose gates let five of eight rows through: one is too long, and two are scored 2."""
    folder = tmp_path_factory.mktemp("run")
    write_rows(folder / "rows.jsonl", ROWS)
    write_rows(folder / "exam.jsonl", [{"prompt": "question 3", "completion": "y"}])

    def says(call):
        return "So. [[2]]" if "\nx\n" in call.prompt or "\nxx\n" in call.prompt else "Good. [[8]]"

    with serving(says=says) as server:
        gate = {
            "out": "kept", "rows": "rows.train", "judge": {"endpoint": server.url, "model": "m"},
            "gates": [{"name": "length", "max": 7}, {"name": "judge", "minimum": 5}],
        }  # fmt: skip
        load = {"out": "rows", "path": str(folder / "rows.jsonl"), "heldout": 0}
        made = Recipe.from_data({"limbeck": 1, "name": "x", "steps": [{"load": load}, {"gate": gate}]})
        limbeck.run(made, folder / "run", progress=Silent())
    return folder / "run"


def test_the_same_gates_say_the_same_without_a_call(run):
    found = regate(run, [])
    assert (found.before["accepted"], found.after["accepted"], found.after["candidates"]) == (5, 5, 8)
    assert found.after["gates"] == found.before["gates"]
    assert all(len(verdicts_of(row)) <= 2 for row in found.rows)


def test_other_thresholds_go_by_the_scores_that_were_kept(run):
    found = regate(run, ["judge", "minimum=2"])
    reasons = found.after["gates"][0]["reasons"]
    assert found.after["accepted"] == 7 and reasons == {"unjudged": 1}


def test_other_gates_judge_what_passed_and_what_was_refused_and_the_run_stays_as_it_was(run):
    files = {path: hash_file(path) for path in run.rglob("*") if path.is_file()}
    found = regate(run, ["length", "max=8", "min=2", "format", "pattern=x{4}"])
    assert found.after["accepted"] == 5 and len(found.rows) == 8
    assert {path: hash_file(path) for path in run.rglob("*") if path.is_file()} == files


def test_what_is_asked_for_is_written_once(run, tmp_path):
    found = regate(run, ["length", "max=3"])
    found.write(tmp_path / "new")
    lines = (tmp_path / "new/rows.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["completion"] for line in lines) == ["x", "xx", "xxx"]
    assert json.loads((tmp_path / "new/yield.json").read_text()) == found.after
    with pytest.raises(UserError, match="not there yet"):
        found.write(tmp_path / "new")


def test_rows_of_a_file_are_judged_too_also_against_others(run):
    data = run.parent / "rows.jsonl"
    assert regate(data, ["length", "max=3"]).after["accepted"] == 3
    found = regate(data, ["decontaminate"], against=[str(run.parent / "exam.jsonl")])
    assert found.before is None and found.after["gates"][0]["reasons"] == {"exact": 1}


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (["max=3", "length"], {}, "must stand behind the gate"),
        (["lenght"], {}, "Did you mean 'length'"),
        (["decontaminate"], {}, "must be given against"),
        (["entailment"], {}, "Put it into a gate step"),
        ([], {"step": "kpet"}, "unknown step 'kpet'. Did you mean 'kept'"),
    ],
)
def test_what_cannot_be_is_refused(run, words, settings, said):
    with pytest.raises((UserError, ValueError), match=said):
        regate(run, words, **settings)


def test_settings_are_read_as_yaml():
    (gate,) = parsed_gates(["format", "tags=[think, answer]", "alone=true"])
    assert gate.options == {"tags": ["think", "answer"], "alone": True}
