"""Source matters: asked until right, compared on shared questions, and what is told of every source."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import limbeck
from limbeck import recipes
from limbeck.core.errors import ConfigError
from limbeck.gates.verdict import verdicts_of
from limbeck.runs.record.progress import Silent
from tests.endpoint.fault_server import Call
from tests.runs.served import serving
from tests.runs.world import make_world, write_rows

ROWS = [{"question": f"{n} plus {n}", "answer": str(2 * n)} for n in range(12)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    write_rows(folder / "sums.jsonl", ROWS)
    return folder


class Teachers:
    """`sure` is always right; `late` in its second answer, and never about every fourth question."""

    def __init__(self) -> None:
        self.asked: dict[tuple[str, int], int] = {}

    def __call__(self, call: Call) -> str:
        name, number = str(call.body["model"]), int(call.prompt.split()[0])
        self.asked[name, number] = self.asked.get((name, number), 0) + 1
        is_right = name == "sure" or (number % 4 and self.asked[name, number] == 2)
        words = "well " * (5 if name == "late" else 1)
        return f"{words}{number} twice.\n\nAnswer: {2 * number + (not is_right)}"


def made(run: Path, out: str, name: str = "rows") -> list[dict[str, Any]]:
    (step,) = run.glob(f"steps/*-{out}")
    return load_from_disk(str(step / name)).to_list()


def numbers(rows: list[dict[str, Any]]) -> set[int]:
    return {int(row["question"].split()[0]) for row in rows}


def test_students_learn_right_answers_to_the_questions_that_all_teachers_solved(world, tmp_path):
    says = Teachers()
    with serving(says=says) as server:
        teachers = {name: {"endpoint": server.url, "model": name} for name in ("sure", "late")}
        small = {"max_steps": 1, "per_device_train_batch_size": 2, "max_length": 96, "learning_rate": 1e-3}
        recipe = recipes.source_matters(
            teachers=teachers,
            student=str(world / "student"),
            data=str(world / "sums.jsonl"),
            heldout=3,
            attempts=3,
            max_new_tokens=16,
            **small,
        )
        limbeck.run(recipe, tmp_path / "run", progress=Silent())
    run = tmp_path / "run"
    trained = numbers(made(run, "answers_sure"))
    solved = {number for number in trained if number % 4}
    assert len(trained) == 9 and solved and solved < trained
    assert numbers(made(run, "answers_late")) == solved
    for number in trained:
        assert says.asked["sure", number] == 1
        assert says.asked["late", number] == (2 if number in solved else 3)
    for source in ("sure", "late", "data"):
        assert numbers(made(run, f"shared_{source}")) == solved, source
    for row in made(run, "shared_late"):
        assert "well" in row["answer"] and row["answer"].endswith(row["reference"])
    assert numbers(made(run, "shared_sure", "rejected")) == trained - solved
    lengths = {}
    for source in ("sure", "late"):
        (step,) = run.glob(f"steps/*-right_{source}")
        length, perplexity, _ = json.loads((step / "yield.json").read_text())["spreads"]
        lengths[source] = length["median"]
        assert perplexity["low"] > 1
        assert [one["gate"] for one in verdicts_of(made(run, f"right_{source}")[0])][-3:] == [
            "length", "perplexity", "ngram_repetition",
        ]  # fmt: skip
    # "well 3 twice. Answer: 6" is five words, with "well" five times nine.
    assert lengths == {"sure": 5, "late": 9}
    assert "<td>9</td>" in (run / "report.html").read_text(), "the report tells how long the answers are"
    assert list(run.glob("steps/*-comparison/*.json"))


def test_one_teacher_or_names_that_no_step_can_have_are_refused():
    with pytest.raises(ConfigError) as told:
        recipes.source_matters(teachers={"my-own": "T"}, student="S", data="d")
    assert [one.where for one in told.value.problems] == ["teachers", "teachers.my-own"]
    with pytest.raises(ConfigError, match="maximum_perplexity"):
        recipes.source_matters(
            teachers={"a": "T", "b": "U"}, student="S", data="d", maximum_perplexity={"c": 3.0}
        )
