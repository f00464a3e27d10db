"""Recipes that compare many students, whole, with two steps a training on a handful of rows."""

import json

import pytest

import limbeck
from limbeck.core.errors import ConfigError
from limbeck.runs.record.progress import Silent

TINY = {"max_steps": 2, "heldout": 4}


def study(recipe, world, out, **inputs):
    done = limbeck.run(
        recipe, out, progress=Silent(), data=str(world / "texts.jsonl"), **(TINY | inputs)
    )  # fmt: skip
    return done, json.loads((done.folder / "comparison.json").read_text())


def test_capacity_gap_distils_one_student_from_every_teacher(world, tmp_path):
    done, found = study("capacity_gap", world, tmp_path / "run")
    students = [model for model in found["models"] if model["role"] == "student"]
    assert [model["evaluation"] for model in students] == [
        "no_teacher", "from_teacher_1", "from_teacher_2", "from_teacher_4", "from_teacher_8"
    ]  # fmt: skip
    sizes = {model["parameters"] for model in students}
    assert len(sizes) == 1
    # The numbers in the names are about the ratios of parameters.
    ratios = [model["teacher_parameters"] / sizes.copy().pop() for model in students[1:]]
    assert ratios == pytest.approx([1, 2, 4, 8], rel=0.25)
    assert [len(figure["points"]) for figure in found["figures"]] == [4, 4]
    assert len(found["tests"][1]["pairs"]) == 4
    assert (done.folder / "student" / "config.json").is_file()


def test_fidelity_study_varies_one_factor_at_a_time(world, tmp_path):
    _, found = study("fidelity_study", world, tmp_path / "run", temperatures=(1.0, 2.0), noises=(0.0, 1.0))
    over_temperature, over_noise = found["figures"][1:]
    assert {(point["x"], point["group"]) for point in over_temperature["points"]} == {
        (t, method) for t in (1.0, 2.0) for method in ("forward_kl", "reverse_kl", "jsd")
    }
    assert len(over_noise["points"]) == 6
    assert len(found["figures"][0]["points"]) == 10  # with the student without a teacher
    anova = found["tests"][1]
    assert set(anova["means"]) == {"forward_kl", "reverse_kl", "jsd"} and anova["n"] == 9


def test_teacher_hacking_watches_proxy_and_golden_from_every_source(world, tmp_path):
    done, found = study("teacher_hacking", world, tmp_path / "run", validation=4)
    watched = json.loads((done.folder / "validation.json").read_text())
    assert list(watched) == ["student_offline", "student_online_teacher", "student_online_student"]
    for entry in watched.values():
        assert {name: len(curve) for name, curve in entry["curves"].items()} == {"proxy": 1, "golden": 1}
        assert entry["hacking"]["verdict"] == "too_few"
    assert [pair["evaluation"] for pair in found["tests"][0]["pairs"]] == [
        "offline", "online_teacher", "online_student"
    ]  # fmt: skip


@pytest.mark.parametrize("recipe", ["capacity_gap", "fidelity_study", "teacher_hacking"])
def test_size_paper_needs_data(recipe, tmp_path):
    with pytest.raises(ConfigError, match="data: must be named at size paper, got none"):
        limbeck.run(recipe, tmp_path / "run", progress=Silent(), size="paper")
