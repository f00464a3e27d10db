"""Interrupted or killed at any step, these recipes end in the very same weights."""

import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import limbeck
from limbeck.core.errors import Interrupted
from limbeck.core.rollouts import Replay
from limbeck.recipes import Recipe
from limbeck.rollouts import prepare, writers
from limbeck.runs.record.progress import Silent
from tests.runs.on_policy import changed, tiny_recipe

RESUMED = ("gkd", "distillm", "minillm", "ddk", "taid", "ctkd")
KILLED_AT = {"distillm": 7}  # others in step 3; here the buffer must be full before
PATIENCE = 120  # seconds that a forked training may take


class StopAt(Silent):
    """Sends this process a signal after step `step` of the student's training."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def trained(self, stage, report) -> None:
        if stage.out == "student" and report.step == self.step:
            os.kill(os.getpid(), self.number)


def recipe_of(name: str, world: Path) -> Recipe:
    recipe = tiny_recipe(name, world, baseline=False)
    recipe = recipe.model_copy(update={"steps": recipe.steps[:-1]})
    fields = {"save_steps": 2}
    if name == "distillm":
        # The share grows by a half at every look, so that fresh, replayed and data steps all occur.
        rollouts = recipe.steps[-1].rollouts.model_copy(
            update={
                "student": {"schedule": "adaptive_share", "tolerance": -9.0, "growth": 0.5},
                "replay": Replay(capacity=4, fresh=0.3),
            }
        )
        fields |= {"rollouts": rollouts, "max_steps": 8}
    return changed(recipe, "student", **fields)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "student" / "model.safetensors")


def run(recipe: Recipe, out: Path, progress=None) -> dict[str, torch.Tensor]:
    limbeck.run(recipe, out, progress=progress or Silent())
    return weights(out)


def killed(recipe: Recipe, out: Path, step: int) -> None:
    """Run in a process of its own that dies without a word after `step`."""
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE)
        try:
            limbeck.run(recipe, out, progress=StopAt(step, signal.SIGKILL))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("name", RESUMED)
def test_a_training_ends_in_the_same_weights_however_it_was_stopped(world, tmp_path, name):
    recipe = recipe_of(name, world)
    expected = run(recipe, tmp_path / "whole")
    cut = tmp_path / "cut"
    with pytest.raises(Interrupted):
        run(recipe, cut, StopAt(1, signal.SIGTERM))
    # The checkpoint is then that of the step before: the killed one is done again, from its journal.
    killed(recipe, cut, KILLED_AT.get(name, 3))
    got = run(recipe, cut)
    assert expected.keys() == got.keys()
    for part, weight in expected.items():
        assert torch.equal(got[part], weight), part


def test_the_settings_above_write_take_and_leave(world, tmp_path, monkeypatch):
    # Otherwise the test of DistiLLM above would be one of plain training.
    asked = []
    real = prepare.write
    monkeypatch.setattr(prepare, "write", lambda *a, **k: asked.append(k["step"]) or real(*a, **k))
    run(recipe_of("distillm", world), tmp_path / "run")
    assert 0 not in asked  # the first step is always the data's
    assert 0 < len(asked) < 7


def test_what_was_written_before_a_kill_is_not_written_again(world, tmp_path, monkeypatch):
    recipe = recipe_of("gkd", world)
    every_row = recipe.steps[-1].rollouts.model_copy(update={"student": 1.0})
    recipe = changed(recipe, "student", rollouts=every_row)
    killed(recipe, tmp_path / "run", 3)
    written = []
    real = writers.sample
    monkeypatch.setattr(writers, "sample", lambda *a, **k: written.append(len(a[1])) or real(*a, **k))
    run(recipe, tmp_path / "run")
    # Steps 4 and 5 are left of five; the 4 rows of step 3 lie in the journal.
    assert written == [4, 4]
