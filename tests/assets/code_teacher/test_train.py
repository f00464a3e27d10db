"""The teacher's training: schedule by hand, crops that repeat, and a resume that equals no interruption."""

import json

import pytest
import torch
from safetensors.torch import load_file

from limbeck.assets.code_teacher import model, train
from limbeck.rows.standard_library import SourceFile

FILES = [SourceFile(f"{i}.py", f"def f{i}(x):\n    return x + {i}\n" * 200, i == 0) for i in range(4)]


def test_the_rate_warms_up_holds_and_falls_to_zero_at_the_last_step():
    peak = train.LEARNING_RATE
    assert train.learning_rate(0, steps=1000) == pytest.approx(peak / 100)
    assert train.learning_rate(600, steps=1000) == pytest.approx(peak)
    assert train.learning_rate(800, steps=1000) == pytest.approx(peak / 2)
    assert train.learning_rate(999, steps=1000) == pytest.approx(peak / 400)


def test_the_rate_holds_while_the_number_of_steps_is_unknown():
    assert train.learning_rate(10**6, steps=None) == train.LEARNING_RATE


def test_the_same_step_draws_the_same_crops_and_the_next_step_others():
    stream = torch.arange(10_000)
    assert torch.equal(train.crops(stream, step=3), train.crops(stream, step=3))
    assert not torch.equal(train.crops(stream, step=3), train.crops(stream, step=4))


def test_the_optimizers_share_out_every_parameter_once():
    untrained = model.new_model(model.train_tokenizer([FILES[1].text]))
    shared = [p for o in train.new_optimizers(untrained) for group in o.param_groups for p in group["params"]]
    assert len(shared) == len({id(p) for p in shared}) == len(list(untrained.parameters()))


@pytest.fixture
def small_run(monkeypatch):
    monkeypatch.setattr(train, "standard_library_files", lambda: FILES)
    monkeypatch.setattr(train, "ROWS_PER_STEP", 1)
    monkeypatch.setattr(train, "STEPS_PER_CHECKPOINT", 1)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    monkeypatch.setattr(model, "SHAPE", small)


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(small_run, tmp_path, monkeypatch):
    train.train(tmp_path / "whole", steps=4, minutes=None)
    once = train.update

    def update_until_killed(*arguments, **settings):
        if (tmp_path / "killed" / "checkpoint.pt").exists():
            raise KeyboardInterrupt
        return once(*arguments, **settings)

    with monkeypatch.context() as killing, pytest.raises(KeyboardInterrupt):
        killing.setattr(train, "update", update_until_killed)
        train.train(tmp_path / "killed", steps=4, minutes=None)
    train.train(tmp_path / "killed", steps=4, minutes=None)
    whole, resumed = (load_file(tmp_path / run / "model.safetensors") for run in ("whole", "killed"))
    for name, weight in whole.items():
        assert torch.equal(weight, resumed[name]), name


def test_minutes_fix_the_number_of_steps_when_the_fall_begins(small_run, tmp_path):
    # No time at all is spent after the first step: 1 step is 60 %, so the run has round(1 / 0.6) = 2.
    train.train(tmp_path, steps=None, minutes=1e-9)
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 2
