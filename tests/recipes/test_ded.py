"""DED: a smoke test on equal questions, hard ones by the student's own tries, answers that differ."""

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
from tests.runs.world import make_world, write_rows

ROWS = [{"question": f"{n} plus {n}", "answer": str(2 * n)} for n in range(16)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    write_rows(folder / "sums.jsonl", ROWS)
    return folder


def says(call: Call) -> str:
    """`careful` is always right, in one of three ways; `hasty` is wrong about every third question."""
    number = int(call.prompt.split()[0])
    is_right = call.body["model"] == "careful" or number % 3
    way = ("a", "ab", "zzzzzzzz")[call.number % 3]
    return f"{way}\n\nAnswer: {2 * number + (not is_right)}"


def made(run: Path, out: str, name: str = "rows") -> list[dict[str, Any]]:
    (step,) = run.glob(f"steps/*-{out}")
    return load_from_disk(str(step / name)).to_list()


def numbers(rows: list[dict[str, Any]]) -> set[int]:
    return {int(row["question"].split()[0]) for row in rows}


def test_a_smoke_test_and_then_the_chosen_teachers_most_different_answers(world, tmp_path):
    run, small = tmp_path / "run", {"max_steps": 1, "per_device_train_batch_size": 2, "max_length": 64}
    with serving(says=says) as server:

        def runs(chosen: str | None) -> None:
            recipe = recipes.ded(
                teachers={
                    name: {"endpoint": server.url, "model": name, "workers": 1}
                    for name in ("careful", "hasty")
                },
                student=str(world / "student"),
                data=str(world / "sums.jsonl"),
                chosen=chosen,
                verifier={"name": "numbers_agree", "relative_to": "reference"},  # starts no processes
                heldout=3,
                validation=3,
                smoke_questions=6,
                smoke_steps=1,
                tries=2,
                samples=6,
                keep=2,
                max_new_tokens=16,
                learning_rate=1e-3,
                **small,
            )
            limbeck.run(recipe, run, progress=Silent(), overwrite=True)

        runs(None)
        asked = len(server.calls)
        assert asked == 2 * 6
        smoked = numbers(made(run, "smoke_careful"))
        assert len(smoked) == 6
        for name in ("careful", "hasty"):
            assert numbers(made(run, f"shared_{name}")) == {one for one in smoked if one % 3}
        assert list(run.glob("steps/*-comparison/*.json")) and not list(run.glob("steps/*-tried"))
        runs("careful")
        models = {call.body["model"] for call in server.calls[asked:]}
        assert models == {"careful"}, "the one that was not chosen is not paid for"
    # The untrained student answers nothing right, so that every question is hard and is asked once more.
    assert numbers(made(run, "hard")) == numbers(made(run, "answers")) and len(made(run, "hard")) == 10
    by_question: dict[str, set[str]] = {}
    for row in made(run, "learnt"):
        by_question.setdefault(row["question"], set()).add(row["answer"].split("\n")[0])
    found = {row["question"]: set() for row in made(run, "answers")}
    for row in made(run, "answers"):
        found[row["question"]].add(row["answer"].split("\n")[0])
    for question, ways in found.items():
        if "zzzzzzzz" in ways and len(ways) > 1:
            assert "zzzzzzzz" in by_question[question] and len(by_question[question]) == 2


def test_a_teacher_that_is_not_there_and_a_contest_of_one_are_refused():
    with pytest.raises(ConfigError, match="chosen"):
        recipes.ded(teachers={"a": "T", "b": "U"}, student="S", data="d", chosen="c")
    with pytest.raises(ConfigError, match="must name at least two"):
        recipes.ded(teachers={"a": "T"}, student="S", data="d")
