"""UniversalNER from a scripted server to a student: what is asked, learnt and measured."""

import json
from pathlib import Path

import pytest
from datasets import load_from_disk

import limbeck
from limbeck import recipes
from limbeck.core.errors import ConfigError
from limbeck.runs.record.progress import Silent
from tests.runs.served import serving
from tests.runs.world import make_world, write_rows

NAMES = ("Ada", "Max", "Eva", "Tom", "Ida", "Leo")
CITIES = ("Rome", "Paris", "Oslo")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    rows = [
        {"text": f"{name} saw {CITIES[place % 3]}" if place % 2 else name}
        for place, name in enumerate(NAMES * 2)
    ]
    write_rows(folder / "passages.jsonl", rows)
    tagged = [{"tokens": [name, "saw", "Rome"], "tags": ["B-person", "O", "B-city"]} for name in NAMES]
    write_rows(folder / "exam.jsonl", [*tagged, {"tokens": ["so"], "tags": ["O"]}])
    return folder


def lists(call) -> str:
    words = call.prompt.rpartition("Text: ")[2].split()
    pairs = [[word, "person" if word in NAMES else "city"] for word in words if word in NAMES + CITIES]
    return json.dumps(pairs)


def test_the_teacher_lists_once_and_students_with_and_without_absent_types_are_measured_on_tags(
    world, tmp_path
):
    with serving(says=lists) as server:
        made = recipes.universal_ner(
            teacher={"endpoint": server.url, "model": "model"},
            student=str(world / "student"),
            data=str(world / "passages.jsonl"),
            exam=str(world / "exam.jsonl"),
            heldout=2,
            max_steps=2,
            per_device_train_batch_size=2,
            max_length=256,
            max_new_tokens=4,
        )
        limbeck.run(made, tmp_path / "run", progress=Silent())
        texts = {call.prompt.rpartition("Text: ")[2] for call in server.calls}
        assert len(server.calls) == len(texts) <= 10, "each passage is read once, for both trainings"
    with_absent, without = (
        load_from_disk(str(next((tmp_path / "run").glob(f"steps/*-elicit-{name}")) / "rows")).to_list()
        for name in ("conversations", "without_negatives")
    )
    said = [
        [turn["content"] for turn in row["messages"] if turn["role"] == "assistant"] for row in with_absent
    ]
    assert any("[]" in answers for answers in said)
    assert all(turn["content"] != "[]" for row in without for turn in row["messages"])
    assert all(turn.get("train") is not False for row in with_absent for turn in row["messages"])
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())["metrics"]["entities"]
    assert (found["questions"], found["texts"]) == (14, 7)
    assert set(found["subjects"]) == {"student", "baseline"}
    assert all(one["entity_f1"]["value"] is not None for one in found["subjects"].values())


def test_a_student_without_absent_types_has_no_baseline():
    with pytest.raises(ConfigError, match="baseline: must be false with negatives none"):
        recipes.universal_ner(teacher="T", student="S", data="d.jsonl", negatives="none")
