"""Completions of rows by an endpoint: turns, thoughts, tools, samples, and what has no answer."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import limbeck
from limbeck.core.errors import ConfigError
from limbeck.recipes import Recipe
from limbeck.runs.assembly.failed_draws import TooManyFailures
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.endpoint.fault_server import CONTEXT_LENGTH, Call
from tests.runs.served import serving
from tests.runs.world import write_rows

TURNS = [
    [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": f"question {n}"},
        {"role": "assistant", "content": "as in the data"},
    ]
    for n in range(6)
]


def recipe(data: Path, rows: list[dict[str, Any]], url: str, **changes: Any) -> Recipe:
    write_rows(data / "rows.jsonl", rows)
    teacher = {"endpoint": url, "model": "model", **changes.pop("teacher", {})}
    generate = {"out": "written", "teacher": teacher, "rows": "rows.train", "max_new_tokens": 9, **changes}
    load = {"out": "rows", "path": str(data / "rows.jsonl"), "heldout": 0}
    return Recipe.from_data({"limbeck": 1, "name": "w", "steps": [{"load": load}, {"generate": generate}]})


def written(made: Recipe, folder: Path) -> list[dict[str, Any]]:
    run = limbeck.run(made, folder, progress=Silent())
    return load_from_disk(str(run.folder / "steps" / "1-generate-written" / "rows")).to_list()


def test_turns_are_asked_as_they_are_and_thoughts_stay_apart(tmp_path):
    def says(call: Call) -> Any:
        return {"role": "assistant", "content": "yes", "reasoning_content": f"because {call.prompt}"}

    rows = [{"messages": turns} for turns in TURNS]
    with serving(says=says) as server:
        found = written(recipe(tmp_path, rows, server.url), tmp_path / "run")
        apart = written(recipe(tmp_path, rows, server.url, thoughts=False), tmp_path / "apart")
    sent = sorted((call.body["messages"] for call in server.calls), key=str)
    assert sent == [turns[:2] for turns in TURNS]
    assert {call.body["max_tokens"] for call in server.calls} == {9}
    last = found[0]["messages"][-1]
    assert last["content"] == "yes" and last["reasoning_content"] == "because question 0"
    assert "reasoning_content" not in apart[0]["messages"][-1]
    assert apart[0]["reasoning"] == found[0]["reasoning"] == "because question 0"


def test_a_plain_prompt_gets_its_completion_and_thoughts_a_column(tmp_path):
    def says(call: Call) -> Any:
        return "<think>hm</think>yes" if call.prompt == "question 1" else "yes"

    rows = [{"prompt": f"question {n}"} for n in range(3)]
    with serving(says=says) as server:
        found = written(recipe(tmp_path, rows, server.url), tmp_path / "run")
    assert [(row["completion"], row["reasoning"]) for row in found] == [
        ("yes", None),
        ("yes", "hm"),
        ("yes", None),
    ]


def test_samples_are_draws_of_their_own_and_more_of_them_ask_for_the_rest(tmp_path):
    rows = [{"prompt": f"question {n}"} for n in range(4)]
    with serving(says=lambda call: f"draw {call.number}") as server:
        two = written(recipe(tmp_path, rows, server.url, samples=2), tmp_path / "two")
        three = written(recipe(tmp_path, rows, server.url, samples=3), tmp_path / "three")
        assert len(server.calls) == 12
    assert len({row["completion"] for row in three}) == 12
    assert [row for row in three if not row["id"].endswith("~2")] == two
    assert len({call.body["seed"] for call in server.calls}) == 12


def test_an_error_is_never_a_row(tmp_path):
    def script(call: Call) -> Any:
        return CONTEXT_LENGTH if call.prompt in ("question 2", "question 4") else None

    rows = [{"prompt": f"question {n}"} for n in range(6)]
    with serving(script) as server:
        found = written(recipe(tmp_path, rows, server.url, failures=0.5), tmp_path / "run")
        assert [row["prompt"] for row in found] == [f"question {n}" for n in (0, 1, 3, 5)]
        folder = tmp_path / "run" / "steps" / "1-generate-written"
        lines = [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]
        assert [(line["row_id"], line["reason"]) for line in lines] == [
            ("rows.jsonl:3", "context_length"),
            ("rows.jsonl:5", "context_length"),
        ]
        notes = json.loads((folder / "done.json").read_text())["notes"]
        assert "2 draws had no answer and were left out: context_length 2." in notes
        with pytest.raises(TooManyFailures, match=r"must be at most 20%, got 2 of 6"):
            written(recipe(tmp_path, rows, server.url), tmp_path / "strict")


def test_texts_without_prompts_are_refused_by_the_plan(tmp_path):
    rows = [{"text": f"text {n}"} for n in range(6)]
    with pytest.raises(ConfigError, match=r"steps\.1\.generate\.rows: must have prompts for an endpoint"):
        make_plan(recipe(tmp_path, rows, "http://127.0.0.1:1/v1"), tmp_path / "run")


def test_raw_completions_get_the_prompt_as_the_tokenizer_writes_it(tmp_path, world):
    rows = [{"messages": turns} for turns in TURNS]
    teacher = {"api": "completions", "tokenizer": str(world / "teacher")}
    with serving() as server:
        written(recipe(tmp_path, rows, server.url, teacher=teacher), tmp_path / "run")
        (path,) = {call.path for call in server.calls}
        assert path.endswith("/v1/completions")
        prompts = {call.body["prompt"] for call in server.calls}
        assert len(prompts) == 6 and all("question" in one and "be short" in one for one in prompts)
        with pytest.raises(ConfigError, match="must be named for api: completions, got none"):
            make_plan(recipe(tmp_path, rows, server.url, teacher={"api": "completions"}), tmp_path / "x")
