"""The run's own metrics while it works: every step's line is there as soon as it is done."""

import json

from limbeck.recipes import sft
from limbeck.runs.launch import run
from limbeck.runs.record.progress import Silent
from limbeck.runs.record.versions import METRICS, merge_metrics


class Watching(Silent):
    """Reads the run's metrics after each optimizer step."""

    def __init__(self, path):
        self.path, self.seen, self.files = path, [], set()

    def trained(self, stage, report):
        lines = self.path.read_text().splitlines()
        self.seen.append((len(lines), json.loads(lines[-1])["phase"], json.loads(lines[-1])["step"]))
        self.files.add(self.path.stat().st_ino)


def test_each_step_is_in_the_runs_metrics_as_soon_as_it_is_done_in_one_and_the_same_file(world, tmp_path):
    recipe = sft(
        student=str(world / "student"),
        data=str(world / "answers.jsonl"),
        heldout=4,
        max_length=48,
        max_steps=2,
    )
    first = recipe.steps[1].model_copy(update={"out": "first"})
    recipe = recipe.model_copy(update={"steps": (recipe.steps[0], first, recipe.steps[1])})
    watching = Watching(tmp_path / "run" / METRICS)
    done = run(recipe, tmp_path / "run", progress=watching)
    assert watching.seen == [(1, "first", 1), (2, "first", 2), (3, "student", 1), (4, "student", 2)]
    assert watching.files == {(done.folder / METRICS).stat().st_ino}


def test_metrics_that_were_torn_are_written_anew(world, tmp_path):
    step = sft(student="S", data="D").steps[1]
    (tmp_path / METRICS).write_text('{"phase": "student", "st')
    folder = tmp_path / "step"
    folder.mkdir()
    (folder / METRICS).write_text('{"step": 1}\n{"step": 2}\n')
    merge_metrics(tmp_path, [(step, folder)])
    assert [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()] == [
        {"phase": "student", "step": 1},
        {"phase": "student", "step": 2},
    ]
