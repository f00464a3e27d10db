"""Answers from documents: the teacher reads what helps, the student reads it among what a search found."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import limbeck
from limbeck import recipes
from limbeck.recipes import Train
from limbeck.runs.record.progress import Silent
from tests.endpoint.fault_server import Call
from tests.runs.served import serving
from tests.runs.world import make_world, write_rows

THINGS = ("river", "bird", "map", "stone", "letter", "market", "winter", "music", "bread", "chair")
COLOURS = ("blue", "grey", "white", "black", "green", "brown", "pink", "red", "gold", "purple")
FACTS = [f"The {thing} is {colour}." for thing, colour in zip(THINGS, COLOURS, strict=True)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    write_rows(folder / "facts.jsonl", [{"text": text} for text in FACTS])
    asked = [
        {"question": f"What is the {thing} like?", "answer": colour}
        for thing, colour in zip(THINGS, COLOURS, strict=True)
    ]
    write_rows(folder / "asked.jsonl", asked)
    given = [{**row, "documents": [fact]} for row, fact in zip(asked, FACTS, strict=True)]
    write_rows(folder / "given.jsonl", given)
    return folder


def says(call: Call) -> str:
    """The colour, from a document that says it."""
    thing = call.prompt.split("What is the ")[1].split()[0]
    fact = next(line for line in call.prompt.splitlines() if line.startswith(f"The {thing} is"))
    return f'It is said: "{fact}"\n\nAnswer: {fact.split()[-1][:-1]}'


def ran(world: Path, folder: Path, data: str, **inputs: Any) -> int:
    """The run; says how many calls it made."""
    small = {"max_steps": 2, "per_device_train_batch_size": 2, "max_length": 512, "learning_rate": 1e-3}
    with serving(says=says) as server:
        recipe = recipes.rag(
            teacher={"endpoint": server.url, "model": "model"},
            student=str(world / "student"),
            data=str(world / f"{data}.jsonl"),
            heldout=4,
            **small,
            **inputs,
        )
        limbeck.run(recipe, folder, progress=Silent())
        return len(server.calls)


def made(run: Path, out: str) -> list[dict[str, Any]]:
    (step,) = run.glob(f"steps/*-{out}")
    return load_from_disk(str(step / "rows")).to_list()


@pytest.mark.parametrize("searched", [True, False])
def test_the_student_reads_what_helps_among_others_and_the_teacher_what_helps_alone(
    world, tmp_path, searched
):
    corpus = {"corpus": str(world / "facts.jsonl"), "found": 4} if searched else {}
    calls = ran(world, tmp_path / "run", "asked" if searched else "given", **corpus, distractors=3)
    run = tmp_path / "run"
    assert calls == 6 + 4, "the baseline's answers are those that were paid for"
    answered, helped = made(run, "answered"), made(run, "helped")
    assert len(answered) == len(helped) == 6
    for row, alone in zip(answered, helped, strict=True):
        fact = next(fact for fact in FACTS if fact.split()[1] in row["prompt"].split("Question:")[1])
        assert sum(text in row["prompt"] for text in FACTS) == 3 + row["helped"]
        assert (fact in row["prompt"]) == row["helped"]
        assert [text for text in FACTS if text in alone["prompt"]] == [fact]
        sent = json.loads(row["asked"])["messages"][-1]["content"]
        assert [text for text in FACTS if text in sent] == [fact]
        assert row["completion"] == alone["completion"] and fact in row["completion"]
    (read,) = {sum(text in row["prompt"] for text in FACTS) for row in made(run, "unseen")}
    assert read == 4
    subjects = json.loads((run / "evaluation.json").read_text())["subjects"]
    assert {one["role"] for one in subjects} == {"student", "baseline"}


def test_student_and_baseline_differ_in_what_they_read_alone():
    recipe = recipes.rag(teacher="T", student="S", data="d", corpus="c.jsonl", keep=["documents"])
    baseline, student = (
        step.model_dump(exclude={"out", "rows"}) for step in recipe.steps if isinstance(step, Train)
    )
    assert baseline == student
