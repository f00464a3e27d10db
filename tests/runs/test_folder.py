"""Run folders: finished steps are reused, interrupted ones go on, and nothing is overwritten unasked."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

import limbeck
from limbeck.core.errors import Interrupted, RunFolderError
from limbeck.runs.fingerprints import fingerprint_steps
from limbeck.runs.folder import RunFolder, differences
from limbeck.runs.progress import Silent
from limbeck.runs.resolve import resolve
from tests.runs.world import write_rows


class Seen(Silent):
    """Remembers which steps worked and which were reused."""

    def __init__(self) -> None:
        self.worked: list[str] = []
        self.taken: list[str] = []

    def begun(self, stage):
        self.worked.append(stage.out)

    def reused(self, stage):
        self.taken.append(stage.out)


class Stopping(Seen):
    """Sends a signal in the middle of a training."""

    def __init__(self, out: str, step: int, number: int) -> None:
        super().__init__()
        self.where = (out, step)
        self.number = number

    def trained(self, stage, report):
        if (stage.out, report.step) == self.where:
            os.kill(os.getpid(), self.number)


@pytest.fixture
def start(world, tmp_path):
    """Starts the same small run again and again, in the same folder unless told otherwise."""
    shutil.copy(world / "answers.jsonl", tmp_path / "data.jsonl")
    given = {
        "teacher": str(world / "teacher"),
        "student": str(world / "student"),
        "data": str(tmp_path / "data.jsonl"),
        "max_steps": 4,
        "per_device_train_batch_size": 2,
        "heldout": 4,
        "max_length": 48,
        "steps.3.evaluate.metrics": ["perplexity"],
    }

    def run(progress=None, *, out="run", overwrite=False, **inputs):
        progress = progress or Seen()
        limbeck.run("word_kd", tmp_path / out, overwrite=overwrite, progress=progress, **(given | inputs))
        return progress

    run.folder = tmp_path / "run"
    run.data = tmp_path / "data.jsonl"
    run.given = given
    return run


def metrics_of(folder: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in ("phase", "step", "loss", "grad_norm", "tokens")} for line in lines]


ALL = ["rows", "baseline", "student", "evaluation"]


def test_a_second_run_reuses_every_step(start):
    assert start().worked == ALL
    before = {path: path.stat().st_mtime_ns for path in start.folder.rglob("*") if path.is_file()}
    second = start()
    assert (second.worked, second.taken) == ([], ALL)
    after = {path: path.stat().st_mtime_ns for path in start.folder.rglob("*") if path.is_file()}
    assert {path.name for path in after if before.get(path) != after[path]} == {".lock"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(start, number):
    start(out="whole")
    with pytest.raises(Interrupted, match="after step 2 of 4"):
        start(Stopping("student", 2, number))
    assert not (start.folder / "evaluation.json").exists()
    second = start()
    assert (second.taken, second.worked) == (["rows", "baseline"], ["student", "evaluation"])
    assert metrics_of(start.folder) == metrics_of(start.folder.parent / "whole")


def test_a_changed_field_is_refused_by_name_and_nothing_is_touched(start):
    start()
    before = sorted(start.folder.rglob("*"))
    with pytest.raises(RunFolderError) as caught:
        start(**{"steps.2.train.learning_rate": 5e-4})
    assert [str(problem) for problem in caught.value.problems] == [
        f"{start.folder}: already contains a run with other settings. Choose another folder with --out, "
        "or recompute what changed here with --overwrite.",
        "steps.2.train.learning_rate: was 0.0001, now 0.0005.",
    ]
    assert sorted(start.folder.rglob("*")) == before


def test_overwrite_reruns_the_changed_step_and_the_ones_behind_it_only(start):
    start()
    second = start(overwrite=True, **{"steps.2.train.learning_rate": 5e-4})
    assert (second.taken, second.worked) == (["rows", "baseline"], ["student", "evaluation"])
    assert "learning_rate: 0.0005" in (start.folder / "recipe.yaml").read_text()


def test_overwrite_keeps_steps_that_only_changed_their_number(start):
    start()
    given = {key: value for key, value in start.given.items() if key != "steps.3.evaluate.metrics"}
    second = Seen()
    limbeck.run(
        "word_kd", start.folder, overwrite=True, progress=second,
        **(given | {"baseline": False, "steps.2.evaluate.metrics": ["perplexity"]}),
    )  # fmt: skip
    assert (second.taken, second.worked) == (["rows", "student"], ["evaluation"])
    assert sorted(path.name for path in (start.folder / "steps").iterdir()) == [
        "0-load-rows", "1-train-student", "2-evaluate-evaluation"
    ]  # fmt: skip


def test_changed_data_is_refused_by_name_unless_overwritten(start):
    start()
    write_rows(start.data, [{"prompt": f"one {n}", "completion": "two three"} for n in range(12)])
    with pytest.raises(RunFolderError, match=r"0-load-rows: was made from other .*data.jsonl: changed since"):
        start()
    assert start(overwrite=True).worked == ALL


def test_a_folder_that_is_no_run_is_refused(start):
    start.folder.mkdir()
    (start.folder / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match=r"must be new, empty or an earlier run, .*thesis\.tex"):
        start(overwrite=True)
    assert [path.name for path in start.folder.iterdir()] == ["thesis.tex"]


def test_two_processes_cannot_use_one_folder(start):
    with (
        RunFolder(start.folder).claimed(),
        pytest.raises(RunFolderError, match=f"one process at a time, .* process {os.getpid()} is using"),
    ):
        start()


def test_fingerprints_change_with_a_field_and_with_what_is_read_and_with_nothing_else(start):
    def marks(**inputs):
        return [mark.value for mark in fingerprint_steps(resolve("word_kd", start.given | inputs))]

    first = marks()
    assert marks() == first
    changed = marks(**{"steps.1.train.seed": 3})
    assert [a == b for a, b in zip(first, changed, strict=True)] == [True, False, True, False]
    changed = marks(heldout=5)
    assert [a == b for a, b in zip(first, changed, strict=True)] == [False, False, False, False]


def test_differences_are_paths_with_both_values():
    there = {"a": 1, "b": [{"c": 2}, {"d": 3}], "e": 4}
    here = {"a": 1, "b": [{"c": 5}], "f": 6}
    assert differences(there, here) == [
        ("b.0.c", "2", "5"), ("b.1.d", "3", "unset"), ("e", "4", "unset"), ("f", "unset", "6")
    ]  # fmt: skip
