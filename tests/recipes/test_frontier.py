"""Frontier: what the teacher is asked, what the student reads of it, and who is held against whom."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import limbeck
from limbeck import recipes
from limbeck.core.errors import ConfigError
from limbeck.runs.record.progress import Silent
from tests.endpoint.fault_server import Call
from tests.runs.served import serving
from tests.runs.world import WORDS, make_world, write_rows

ROWS = [{"question": f"{n} plus {n}", "answer": str(2 * n)} for n in range(12)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    write_rows(folder / "sums.jsonl", ROWS)
    return folder


def says(call: Call) -> str:
    """Right where it is told to reason; a third wrong where it answers at once."""
    number = int(call.prompt.split()[0])
    if "step by step" in call.prompt:
        return f"Twice {number}.\n\nAnswer: {2 * number}"
    return str(2 * number + (number % 3 == 0))


def made(run: Path, out: str, name: str = "rows") -> list[dict[str, Any]]:
    (step,) = run.glob(f"steps/*-{out}")
    return load_from_disk(str(step / name)).to_list()


def ran(world: Path, folder: Path, **inputs: Any) -> None:
    with serving(says=says) as server:
        teacher = {"endpoint": server.url, "model": "model"}
        small = {"max_steps": 2, "per_device_train_batch_size": 2, "max_length": 64, "learning_rate": 1e-3}
        data, student = str(world / "sums.jsonl"), str(world / "student")
        small |= {"heldout": 4, "max_new_tokens": 24}
        recipe = recipes.frontier(teacher=teacher, student=student, data=data, **small, **inputs)
        limbeck.run(recipe, folder, progress=Silent())


def test_a_run_asks_both_ways_learns_at_the_plain_question_and_measures_everybody(world, tmp_path):
    ran(world, tmp_path / "run")
    run = tmp_path / "run"
    for row in made(run, "elicited"):
        number = int(row["question"].split()[0])
        assert row["question"] == f"{number} plus {number}" and row["answer"] == str(2 * number)
        assert "step by step" in json.loads(row["asked"])["messages"][-1]["content"]
    plain = made(run, "plain")
    wrong = [row["question"] for row in plain if row["answer"] != row["reference"]]
    assert wrong == [row["question"] for row in plain if int(row["question"].split()[0]) % 3 == 0]
    trained = {row["question"] for row in made(run, "elicited")}
    told = {}
    for out in ("teacher", "untrained"):
        for way in ("chain_of_thought", "vanilla"):
            (step,) = run.glob(f"steps/*-{out}_{way}")
            told[out, way] = json.loads((step / "yield.json").read_text())
    assert {one["candidates"] for one in told.values()} == {4}
    asked = [*made(run, "teacher_vanilla"), *made(run, "teacher_vanilla", "rejected")]
    wrong = [row for row in asked if int(row["question"].split()[0]) % 3 == 0]
    assert told["teacher", "chain_of_thought"]["accepted"] == 4
    assert told["teacher", "vanilla"]["accepted"] == 4 - len(wrong)
    assert told["untrained", "chain_of_thought"]["accepted"] == 0, "a measurement of none right is one, too"
    assert not trained & {row["question"] for row in asked}
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert {one["role"] for one in evaluation["subjects"]} == {"student", "baseline"}
    assert evaluation["metrics"]["generation"]["task"]["name"] == "final_answer"


def test_reasons_are_learnt_with_the_answer_where_they_are_not_to_be_internalised():
    learnt = {}
    for internalise in (True, False):
        recipe = recipes.frontier(teacher="T", student="S", data="d", internalise=internalise)
        (step,) = (step for step in recipe.steps if step.out == "elicited")
        learnt[internalise] = step.operator.options["learn"]
    assert learnt == {True: "answer", False: "reasoning"}


@pytest.mark.study
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_reasoning_elicits_beats_plain_answers_by_what_these_have_wrong(world, tmp_path, seed):
    # The first word decides; asked plainly, the teacher has two words of five wrong.
    right = dict(zip(WORDS, ("yes", "no", "yes", "no", "yes"), strict=False))
    wrong = {"yes": "no", "no": "yes"}
    firsts, beside = list(right), WORDS[5:17]
    rows = [
        {"question": f"{first} {one} {other}", "answer": right[first]}
        for first in firsts
        for one in beside
        for other in beside[:3]
    ]
    write_rows(tmp_path / "rows.jsonl", rows)

    def told(call: Call) -> str:
        first = call.prompt.split()[0]
        if "step by step" in call.prompt:
            return f"It begins with {first}.\n\nAnswer: {right[first]}"
        return wrong[right[first]] if first in firsts[:2] else right[first]

    with serving(says=told) as server:
        recipe = recipes.frontier(
            teacher={"endpoint": server.url, "model": "model"},
            student=str(world / "student"),
            data=str(tmp_path / "rows.jsonl"),
            heldout=60,
            task="exact_match",
            zero_shot=False,
            learning_rate=1e-2,
            max_steps=80,
            per_device_train_batch_size=1,  # packs
            max_length=128,
            max_new_tokens=6,
            seed=seed,
        )
        run = limbeck.run(recipe, tmp_path / "run", progress=Silent())
    subjects = run.evaluation["metrics"]["generation"]["subjects"]
    reasoned, plain = (subjects[name]["task"]["value"] for name in ("student", "baseline"))
    assert reasoned - plain > 0.15, (reasoned, plain)


def test_summaries_are_neither_right_nor_to_be_reasoned_about():
    with pytest.raises(ConfigError) as error:
        recipes.frontier(teacher="T", student="S", data="d", program="chain_of_density", internalise=False)
    assert [problem.where for problem in error.value.problems] == ["internalise", "task"]
