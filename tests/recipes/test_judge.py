"""Judge: what a student learns of a teacher's verdicts, and how often it is found to agree."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import limbeck
from limbeck import recipes
from limbeck.runs.record.progress import Silent
from tests.endpoint.fault_server import Call
from tests.runs.served import serving
from tests.runs.world import make_world, write_rows

ROWS = [{"prompt": f"q {n}", "chosen": "x" * (n % 5 + 1), "rejected": "y" * (n % 3 + 1)} for n in range(20)]


PROMPT = """
about: short, as the student here reads 128 tokens
parser: winner
teacher: {user: "{{ task }}\\nAnswer A:\\n{{ answer_a }}\\nAnswer B:\\n{{ answer_b }}\\n"}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    write_rows(folder / "answers.jsonl", ROWS)
    (folder / "short.yaml").write_text(PROMPT, encoding="utf-8")
    return folder


def answers(call: Call) -> tuple[str, str]:
    first, rest = call.prompt.split("Answer A:\n")[1].split("Answer B:\n")
    return first.strip(), rest.split("\n")[0].strip()


def says(call: Call) -> str:
    """Longer is better, but for the first of two that are alike: that one, in either place."""
    first, second = answers(call)
    return "The longer one. [[A]]" if len(first) >= len(second) else "The longer one. [[B]]"


def made(run: Path, out: str, name: str = "rows") -> list[dict[str, Any]]:
    (step,) = run.glob(f"steps/*-{out}")
    return load_from_disk(str(step / name)).to_list()


def told(run: Path, out: str) -> dict[str, Any]:
    (step,) = run.glob(f"steps/*-{out}")
    return json.loads((step / "yield.json").read_text())


def is_equal(row: dict[str, Any]) -> bool:
    return len(row["chosen"]) == len(row["rejected"])


def test_verdicts_that_hold_in_both_orders_are_learnt_in_both_and_all_judges_are_counted(world, tmp_path):
    with serving(says=says) as server:
        recipe = recipes.judge(
            teacher={"endpoint": server.url, "model": "model"},
            student=str(world / "student"),
            data=str(world / "answers.jsonl"),
            heldout=6,
            prompt=str(world / "short.yaml"),
            max_steps=1,
            learning_rate=1e-3,
            max_length=512,
            per_device_train_batch_size=2,
            max_new_tokens=8,
        )
        limbeck.run(recipe, tmp_path / "run", progress=Silent())
        # Both orders of 20 pairs, once, though students learn from them in two ways.
        assert len(server.calls) == 40
    run = tmp_path / "run"
    lessons, verdicts = made(run, "lessons"), made(run, "verdicts")
    pairs = {row["parents"][0] for row in lessons}
    rejected = made(run, "lessons", "rejected")
    assert len(lessons) == 2 * len(pairs) and len(pairs) + len(rejected) == 14
    for row in lessons:
        user, answer = row["messages"]
        assert (user["role"], answer["role"]) == ("user", "assistant")
        first, rest = user["content"].split("Answer A:\n")[1].split("Answer B:\n")
        expected = "A" if len(first.strip()) > len(rest.split("\n")[0].strip()) else "B"
        assert answer["content"] == f"The longer one. [[{expected}]]"
    assert sorted(row["verdict"] for row in lessons) == ["a"] * len(pairs) + ["b"] * len(pairs)
    assert {row["messages"][-1]["content"] for row in verdicts} == {"[[A]]", "[[B]]"}
    unseen = made(run, "unseen")
    assert unseen and not any(is_equal(row) for row in unseen)
    assert {json.loads(row["verdicts"])[-1]["reason"] for row in rejected} == {"inconsistent"}
    for judge in ("student", "baseline", "untrained"):
        assert told(run, f"judged_by_{judge}")["candidates"] == len(unseen)


def test_agreement_counts_pairs_that_are_seen_alike_in_both_orders_and_as_the_teacher_does(world, tmp_path):
    def always_first(call: Call) -> str:
        return "[[A]]"

    def shorter(call: Call) -> str:
        first, second = answers(call)
        return "[[A]]" if len(first) < len(second) else "[[B]]"

    found = {}
    for name, other in (("always_first", always_first), ("shorter", shorter), ("same", says)):

        def both(call: Call, other: Any = other) -> str:
            return says(call) if call.body["model"] == "model" else other(call)

        with serving(says=both) as server:
            whole = recipes.judge(
                teacher={"endpoint": server.url, "model": "model"},
                student=str(world / "student"),
                data=str(world / "answers.jsonl"),
                heldout=6,
                prompt=str(world / "short.yaml"),
            )
            steps = {step.out: step for step in whole.steps}
            counted = steps["judged_by_untrained"].model_dump()
            counted["teacher"] = {"endpoint": server.url, "model": "judge"}
            dumped = [{steps[out].kind: steps[out].model_dump()} for out in ("rows", "unseen")]
            data = {"limbeck": 1, "name": "counted", "steps": [*dumped, {"elicit": counted}]}
            limbeck.run(limbeck.recipes.Recipe.from_data(data), tmp_path / name, progress=Silent())
        one = told(tmp_path / name, "judged_by_untrained")
        found[name] = [gate["judged"] - gate["rejected"] for gate in one["gates"]]
    pairs = len(made(tmp_path / "same", "unseen"))
    assert found == {"always_first": [0], "shorter": [pairs, 0], "same": [pairs, pairs]}
