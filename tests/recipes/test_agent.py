"""Agents: traces with right answers are learnt, the teacher's turns alone, beside general rows."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk
from transformers import AutoTokenizer

import limbeck
from limbeck import recipes
from limbeck.recipes import Train
from limbeck.runs.record.progress import Silent
from tests.endpoint.fault_server import Call
from tests.rows.templates import QWEN25
from tests.runs.served import serving
from tests.runs.world import make_world, write_rows

FUNCTIONS = ["tests.operators.tools:add"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    tokenizer = AutoTokenizer.from_pretrained(folder / "student")
    tokenizer.chat_template = QWEN25
    tokenizer.save_pretrained(folder / "student")
    write_rows(
        folder / "sums.jsonl", [{"question": f"{n} plus {n}", "answer": str(2 * n)} for n in range(12)]
    )
    return folder


def says(call: Call) -> Any:
    """A call of a function, then its result; another number where that is a multiple of six."""
    asked = next(turn for turn in call.body["messages"] if turn["role"] == "user")["content"]
    number, last = int(asked.split()[0]), call.body["messages"][-1]
    if last["role"] == "tool":
        return str(int(last["content"]) + (number % 3 == 0))
    called = {"name": "add", "arguments": json.dumps({"a": number, "b": number})}
    calls = [{"id": "c", "type": "function", "function": called}]
    return {"role": "assistant", "content": f"Twice {number}.", "tool_calls": calls}


def ran(world: Path, folder: Path, **inputs: Any) -> None:
    small = {"max_steps": 2, "per_device_train_batch_size": 2, "max_length": 512, "learning_rate": 1e-3}
    with serving(says=says) as server:
        recipe = recipes.agent(
            teacher={"endpoint": server.url, "model": "model"},
            student=str(world / "student"),
            data=str(world / "sums.jsonl"),
            functions=FUNCTIONS,
            heldout=4,
            **small,
            **inputs,
        )
        limbeck.run(recipe, folder, progress=Silent())


def made(run: Path, out: str, name: str = "rows") -> list[dict[str, Any]]:
    (step,) = run.glob(f"steps/*-{out}")
    return load_from_disk(str(step / name)).to_list()


def test_right_traces_are_learnt_beside_general_rows_and_all_traces_by_the_baseline(world, tmp_path):
    ran(world, tmp_path / "run", general=str(world / "answers.jsonl"), general_share=0.5)
    run = tmp_path / "run"
    attempts, traces = made(run, "attempts"), made(run, "traces")
    assert len(attempts) == 8
    right = [row for row in attempts if int(row["messages"][0]["content"].split()[0]) % 3]
    assert [row["id"] for row in traces] == [row["id"] for row in right]
    for row in traces:
        number = int(row["messages"][0]["content"].split()[0])
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant", "tool", "assistant"]
        assert row["messages"][1]["content"] == f"Twice {number}."
        assert row["messages"][-1]["content"] == row["reference"] == str(2 * number)
        assert json.loads(row["asked"])["messages"][0]["role"] == "system", "only the teacher is told how"
    sources = [row["mixed_from"] for row in made(run, "traces_and_general")]
    assert sources.count("traces") == sources.count("general.train") == len(traces)
    assert len(made(run, "attempts_and_general")) == 16
    unseen = made(run, "unseen")
    assert not {row["id"] for row in unseen} & {row["id"] for row in attempts}
    assert {one["role"] for one in json.loads((run / "evaluation.json").read_text())["subjects"]} == {
        "student",
        "baseline",
    }


def test_without_a_test_of_success_all_traces_are_learnt_and_the_baseline_learns_answers():
    recipe = recipes.agent(teacher="T", student="S", data="d", functions=FUNCTIONS, success=None)
    trained = {step.out: step.rows for step in recipe.steps if isinstance(step, Train)}
    assert trained == {"baseline": "rows.train", "student": "attempts"}
