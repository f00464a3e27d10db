"""Step-by-step from an endpoint to a student in one command: what is asked, learnt, left out and kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import limbeck
from limbeck.runs.record.progress import Silent
from limbeck.runs.resolve import parse_pairs, resolve
from tests.endpoint.fault_server import Call
from tests.endpoint.llama_server import LlamaServer
from tests.runs.served import serving
from tests.runs.world import write_rows

SETTINGS = ("max_steps=2", "per_device_train_batch_size=2", "max_length=256", "heldout=2")


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    rows = [{"question": f"{n} and {n}", "answer": str(2 * n)} for n in range(8)]
    write_rows(tmp_path / "questions.jsonl", rows)
    return tmp_path / "questions.jsonl"


def run(*words: str) -> None:
    made = resolve("step_by_step", parse_pairs([*words[:-1], *SETTINGS]))
    limbeck.run(made, words[-1], progress=Silent())


def made(run_folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows that are learnt from, and rejected ones."""
    step = next(run_folder.glob("steps/*-elicit-rationales"))
    return tuple(load_from_disk(str(step / name)).to_list() for name in ("rows", "rejected"))  # type: ignore[return-value]


def reasons(call: Call) -> str:
    """Reasons and a label, which is wrong for 2; nothing that can be read of 3."""
    number = int(call.prompt.split()[call.prompt.split().index("and") - 1])
    label = {2: "5"}.get(number, str(2 * number))
    return "I do not know." if number == 3 else f"Twice {number}.\n\nAnswer: {label}"


def test_labels_and_rationales_come_from_the_teacher_and_what_cannot_be_read_is_left_out(
    world, questions, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with serving(says=reasons) as server:
        teacher = (f"teacher.endpoint={server.url}", "teacher.model=model")
        run(f"student={world / 't5'}", f"data={questions}", *teacher, "run")
        first = len(server.calls)
        run(f"student={world / 't5'}", f"data={questions}", *teacher, "again")
        assert len(server.calls) == first == 6, "held-out rows are not asked about, answered ones not again"
    kept, left_out = made(tmp_path / "run")
    numbers = {row["question"]: row for row in kept}
    assert all(row["rationale"] == f"Twice {name.split()[0]}." for name, row in numbers.items())
    assert {row["answer"] for name, row in numbers.items() if name == "2 and 2"} <= {"5"}
    assert {row["prompt"] for row in left_out} <= {"3 and 3"}
    assert len(kept) + len(left_out) == 6
    trained = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert set(trained["terms"]) == {"cross_entropy_label", "cross_entropy_rationale"}
    subjects = json.loads((tmp_path / "run" / "evaluation.json").read_text())["metrics"]["generation"]
    assert subjects["task"]["name"] == "exact_match"


def test_a_real_server_that_holds_a_schema_teaches_a_student_in_one_command(
    world, questions, tmp_path, monkeypatch, llama_server: LlamaServer
):
    monkeypatch.chdir(tmp_path)
    # The tiny model writes noise; the schema alone makes it a rationale and a label.
    short = {"type": "string", "minLength": 1, "maxLength": 8}
    fields = {"rationale": short, "answer": {"enum": ["yes", "no"]}}
    Path("reasons.yaml").write_text(
        json.dumps(
            {
                "about": "Reasons and a label as an object.",
                "parser": {"name": "json_object", "fields": ["rationale", "answer"]},
                "json_schema": {"type": "object", "properties": fields, "required": [*fields]},
                "teacher": {"user": "{{ task }}"},
            }
        )
    )
    run(
        f"student={world / 't5'}",
        f"data={questions}",
        f"teacher.endpoint={llama_server.url}",
        f"teacher.model={llama_server.name}",
        "prompt=reasons.yaml",
        "elicited_tokens=60",
        "run",
    )
    kept, left_out = made(tmp_path / "run")
    assert len(kept) == 6 and not left_out
    assert {row["answer"] for row in kept} <= {"yes", "no"} and all(row["rationale"] for row in kept)
    assert (tmp_path / "run" / "student" / "config.json").exists()
