"""Domains: who reads the texts, which answers are learnt, what is measured; and the shipped files."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import limbeck
from limbeck import recipes
from limbeck.core.errors import ConfigError
from limbeck.core.prompting import load_prompt
from limbeck.gates import judging
from limbeck.recipes.domains import read_domain, shipped_domains
from limbeck.runs.record.progress import Silent
from tests.endpoint.fault_server import Call
from tests.runs.served import serving
from tests.runs.world import make_world, write_rows


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    write_rows(folder / "corpus.jsonl", [{"text": f"Wing {n} lifts {10 * n} pounds."} for n in range(1, 11)])
    return folder


def says(call: Call) -> str:
    """Two questions to a text; to the second no answer, a wrong number, or one that the judge turns down."""
    read = call.prompt
    number = int(read.split("Wing ")[1].split()[0])
    if "numbered list" in read:
        return f"1. What does wing {number} lift?\n2. How was wing {number} measured?"
    if "double brackets" in read:
        return "Not in the text. [[2]]" if "Carefully" in read else "It is. [[9]]"
    if "What does" in read:
        return f"Wing {number} lifts {10 * number} pounds."
    return ("UNANSWERED", f"{number} times, in 1931.", "Carefully.")[number % 3]


def made(run: Path, out: str, name: str = "rows") -> list[dict[str, Any]]:
    (step,) = run.glob(f"steps/*-{out}")
    return load_from_disk(str(step / name)).to_list()


def test_the_student_learns_judged_answers_to_questions_alone_beside_general_rows(world, tmp_path):
    run = tmp_path / "run"
    with serving(says=says) as server:
        recipe = recipes.domain(
            teacher={"endpoint": server.url, "model": "model"},
            student=str(world / "student"),
            data=str(world / "corpus.jsonl"),
            domain="science",
            questions=2,
            general=str(world / "answers.jsonl"),
            general_heldout=4,
            heldout=2,
            max_steps=2,
            per_device_train_batch_size=2,
            max_length=128,
            learning_rate=1e-3,
        )
        limbeck.run(recipe, run, progress=Silent())
    drafts, answers = made(run, "drafts"), made(run, "answers")
    assert len(drafts) == 16 and len(answers) == 8
    for row in answers:
        number = int(row["prompt"].split()[3])
        assert row["prompt"] == f"What does wing {number} lift?" and "pounds" in row["completion"]
        assert f"Wing {number} lifts" in json.loads(row["asked"])["messages"][-1]["content"]
    refused = [json.loads(row["verdicts"])[-1] for row in made(run, "answers", "rejected")]
    assert {(one["gate"], one["reason"]) for one in refused} == {
        ("format", "forbidden"),
        ("numbers_agree", "added"),
        ("judge", "low"),
    }
    sources = [row["mixed_from"] for row in made(run, "answers_and_general")]
    assert sources.count("answers") == sources.count("general.train") == 8
    texts = {row["documents"][0] for row in answers}
    assert not texts & {row["documents"][0] for row in made(run, "unseen_answers")}
    for name in ("evaluation", "general_evaluation"):
        (step,) = run.glob(f"steps/*-{name}")
        subjects = json.loads((step / "evaluation.json").read_text())["subjects"]
        assert {one["role"] for one in subjects} == {"student", "baseline"}


@pytest.mark.parametrize("name", shipped_domains())
def test_a_shipped_domain_has_prompts_gates_and_sources(name):
    found = read_domain(name)
    assert found.corpus and found.sources and found.methods and found.care
    for prompt, value in ((found.questions, "count"), (found.answer, "documents")):
        assert value in load_prompt(prompt).templates["teacher.user"].names
        assert load_prompt(prompt).file.student is None, "the student reads the question alone"
    assert all(not judging.Gate(one.name, one.options).needs for one in found.gates)


def test_a_domain_of_ones_own_is_a_file_and_a_wrong_one_is_refused(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("about: Tea.\nquestions: science_questions\nanswer: science_answer\ngates: [finished]\n")
    recipe = recipes.domain(teacher="T", student="S", data="d", domain=str(mine))
    (gate,) = (step for step in recipe.steps if step.out == "answers")
    assert [one.name for one in gate.gates] == ["format", "finished", "judge"]
    mine.write_text("about: Tea.\nquestion: science_questions\nanswer: science_answer\n")
    with pytest.raises(ConfigError, match="question"):
        read_domain(str(mine))
    with pytest.raises(ConfigError, match=r"one of code, finance, law, .* got 'laws'"):
        read_domain("laws")
