"""Whole runs of teachers with another tokenizer, at size tiny."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

import limbeck
from limbeck.core.errors import Interrupted, UserError
from limbeck.runs.record.progress import Silent
from tests.runs.world import write_rows

TINY = {
    "max_steps": 4,
    "per_device_train_batch_size": 4,
    "heldout": 6,
    "max_length": 96,
    "learning_rate": 1e-3,
    "baseline": False,
    "steps.2.evaluate.metrics": ["perplexity"],
}
BYTES = {"tokenizer": "bytes"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / "cache"))


def inputs(world: Path, rows: str = "texts") -> dict[str, object]:
    return {
        "teacher": str(world / "teacher"),
        "student": {"model": str(world / "student"), **BYTES},
        "data": str(world / f"{rows}.jsonl"),
        **TINY,
    }


def terms_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line)["terms"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("rows", ["texts", "answers"])
@pytest.mark.parametrize(
    ("recipe", "given", "names"),
    [
        ("alm", {}, {"alm"}),
        (
            "alm",
            {"cross_entropy": True, "states": True},
            {"alm", "cross_entropy", "chunk_state_mse"},
        ),
        ("uld", {}, {"cross_entropy", "uld_aligned"}),
        ("min_edit", {}, {"cross_entropy_unaligned", "forward_kl_aligned"}),
        ("dskd", {}, {"cross_entropy", "dual_space"}),
    ],
)
def test_a_byte_student_learns_from_a_teacher_of_words(world, tmp_path, recipe, given, names, rows):
    done = limbeck.run(recipe, tmp_path / "run", progress=Silent(), **inputs(world, rows), **given)
    for terms in terms_of(done.folder):
        assert {name for name in terms if not name.startswith("weight_")} == names
        assert all(value == value and abs(value) < 1e6 for value in terms.values())
    assert done.evaluation is not None
    subjects = done.evaluation["metrics"]["perplexity"]["subjects"]
    assert subjects["student"]["bits_per_byte"]["value"] > 0
    assert subjects["teacher"]["bits_per_byte"]["value"] > 0


def test_the_terms_of_a_student_that_is_the_teacher_are_nothing(world, tmp_path):
    given = inputs(world) | {"student": str(world / "teacher"), "max_steps": 1}
    first = terms_of(limbeck.run("alm", tmp_path / "alm", progress=Silent(), **given).folder)[0]
    assert first["alm"] == pytest.approx(0.0, abs=1e-8)
    one = limbeck.run("min_edit", tmp_path / "edit", progress=Silent(), kd_ratio=1.0, **given)
    assert terms_of(one.folder)[0]["forward_kl_aligned"] == pytest.approx(0.0, abs=1e-6)


def test_micro_batches_do_not_change_the_step(world, tmp_path):
    weights = []
    for size, count in ((4, 1), (2, 2), (1, 4)):
        given = inputs(world) | {"per_device_train_batch_size": size, "gradient_accumulation_steps": count}
        done = limbeck.run("alm", tmp_path / str(size), progress=Silent(), packing=False, **given)
        weights.append(load_file(done.student / "model.safetensors"))
    for other in weights[1:]:
        for name, weight in weights[0].items():
            assert (weight - other[name]).abs().max() < 1e-5


def test_an_interrupted_run_ends_in_the_weights_of_an_uninterrupted_one(world, tmp_path):
    class Stopping(Silent):
        def trained(self, stage, report):
            if report.step == 2 and stage.out == "student":
                raise KeyboardInterrupt

    given = inputs(world) | {"save_steps": 1}
    whole = limbeck.run("alm", tmp_path / "whole", progress=Silent(), **given)
    with pytest.raises((Interrupted, KeyboardInterrupt)):
        limbeck.run("alm", tmp_path / "stopped", progress=Stopping(), **given)
    resumed = limbeck.run("alm", tmp_path / "stopped", progress=Silent(), **given)
    for name, weight in load_file(whole.student / "model.safetensors").items():
        assert (weight == load_file(resumed.student / "model.safetensors")[name]).all()


@pytest.mark.parametrize(
    ("recipe", "given", "wrong"),
    [
        ("word_kd", {}, "limbeck run alm"),
        ("uld", {"steps.1.train.alignment.map": "min_edit"}, "leave out alignment.map"),
        ("min_edit", {"steps.1.train.alignment.map": "none"}, "add alignment"),
        ("dskd", {"steps.1.train.packing": True}, "packing: false"),
        ("alm", {"threshold": 2}, "threshold"),
        ("alm", {"distance": "nearest"}, "distance"),
        (
            "alm",
            {"steps.1.train.rollouts": {"student": 1.0}, "steps.1.train.task": "two_task"},
            "leave it out",
        ),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_runs(world, tmp_path, recipe, given, wrong):
    with pytest.raises(UserError, match=wrong):
        limbeck.run(recipe, tmp_path / "run", progress=Silent(), **{**inputs(world), **given})
    assert not (tmp_path / "run" / "steps").exists()


def test_a_prompt_that_leaves_the_teacher_no_room_is_an_error_with_the_row(world, tmp_path):
    rows = [{"prompt": "the cat " * 30, "completion": "sat"}] * 2 + [
        {"prompt": f"{n} and", "completion": "the dog"} for n in range(20)
    ]
    write_rows(tmp_path / "long.jsonl", rows)
    given = inputs(world) | {"data": str(tmp_path / "long.jsonl"), "max_length": 512}
    with pytest.raises(UserError, match="teacher_max_length"):
        limbeck.run(
            "alm", tmp_path / "run", progress=Silent(),
            **given, **{"steps.1.train.alignment.teacher_max_length": 16},
        )  # fmt: skip
