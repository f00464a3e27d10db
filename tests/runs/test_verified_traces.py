"""REDI from a teacher's traces: the gate says which are right; questions with both kinds give pairs."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from datasets import load_from_disk

import limbeck
from limbeck import recipes
from limbeck.runs.record.progress import Silent
from tests.endpoint.fault_server import Call
from tests.runs.served import serving
from tests.runs.world import write_rows

SMALL = {"max_steps": 2, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "max_length": 64}


class Teacher:
    """Right each time for even numbers, wrong each time for 3, by turns for other odd ones."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()

    def __call__(self, call: Call) -> str:
        number = int(call.prompt.split()[0])
        self.asked[number] += 1
        is_wrong = number == 3 or (number % 2 == 1 and self.asked[number] % 2 == 0)
        if number == 5 and is_wrong:
            return "I cannot say."
        return f"Twice {number}, draw {self.asked[number]}.\n\nAnswer: {2 * number + is_wrong}"


def made(run: Path, out: str, name: str = "rows") -> list[dict[str, Any]]:
    (step,) = run.glob(f"steps/*-{out}")
    return load_from_disk(str(step / name)).to_list()


def test_right_traces_are_learnt_and_then_held_against_wrong_ones_of_the_same_question(world, tmp_path):
    rows = [{"question": f"{n} plus {n}", "answer": str(2 * n)} for n in range(12)]
    write_rows(tmp_path / "sums.jsonl", rows)
    with serving(says=Teacher()) as server:
        recipe = recipes.redi(
            teacher={"endpoint": server.url, "model": "model"},
            student=str(world / "student"),
            data=str(tmp_path / "sums.jsonl"),
            heldout=2,
            baseline=False,
            max_new_tokens=8,
            **SMALL,
        )
        run = limbeck.run(recipe, tmp_path / "run", progress=Silent()).folder
    traces, pairs = made(run, "traces"), made(run, "pairs")

    def answer(trace: str) -> str:
        return trace.split("Answer: ")[-1]

    right = {row["question"] for row in traces}
    assert all(row["answer"].startswith("Twice") for row in traces)
    assert all(answer(row["answer"]) == row["reference"] for row in traces)
    assert "3 plus 3" not in right
    assert len(pairs) >= 2 and {row["prompt"] for row in pairs} <= right
    for row in pairs:
        number = int(row["prompt"].split()[0])
        assert number % 2 == 1 and number != 5, "neither always right, nor wrong where nothing could be read"
        assert answer(row["chosen"]) == str(2 * number) != answer(row["rejected"])
    told = json.loads(next(run.glob("steps/*-traces/yield.json")).read_text())
    assert told["candidates"] == 40 and told["accepted"] == len(traces)
    terms = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["terms"]
    assert set(terms) == {"cross_entropy_chosen", "cross_entropy_rejected"}
    generation = json.loads((run / "evaluation.json").read_text())["metrics"]["generation"]
    assert generation["task"]["name"] == "final_answer"
