"""A training on rollouts is the same with rows end to end as with padded rows."""

import json

import pytest

import limbeck
from limbeck.rollouts import prepare
from limbeck.runs.record.progress import Silent

STEP = "steps.1.train"


@pytest.mark.parametrize("signal", ["sampled", "full"])
def test_packed_rollouts_take_the_steps_of_padded_ones(world, tmp_path, monkeypatch, signal):
    kinds, losses = [], []
    collate_rollouts = prepare.collate_rollouts

    def watched(*args, **options):
        batch = collate_rollouts(*args, **options)
        kinds.append(set(batch.inputs) - {"input_ids"})
        return batch

    monkeypatch.setattr(prepare, "collate_rollouts", watched)
    for packing in (True, False):
        done = limbeck.run(
            "on_policy", tmp_path / str(packing), progress=Silent(),
            teacher=str(world / "teacher"), student=str(world / "student"), data=str(world / "texts.jsonl"),
            signal=signal, baseline=False, max_steps=2, per_device_train_batch_size=4, max_new_tokens=8,
            heldout=6, max_length=48, learning_rate=1e-3, **{f"{STEP}.packing": packing},
        )  # fmt: skip
        lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
        losses.append([line["loss"] for line in lines])
    assert kinds == [{"position_ids"}] * 2 + [{"attention_mask"}] * 2
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
