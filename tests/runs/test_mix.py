"""Rows of several steps as one: shares, ids, columns that only some of them have."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import limbeck
from limbeck.core.errors import ConfigError, RowError
from limbeck.core.lineage import is_finished
from limbeck.recipes import Recipe
from limbeck.recipes.steps import Mix
from limbeck.runs.record.progress import Silent
from tests.runs.world import write_rows


def mixed(folder: Path, first: list[Any], second: list[Any], **fields: Any) -> list[dict[str, Any]]:
    write_rows(folder / "first.jsonl", first)
    write_rows(folder / "second.jsonl", second)
    steps = [
        {"load": {"out": name, "path": str(folder / f"{name}.jsonl"), "heldout": 0}}
        for name in ("first", "second")
    ]
    mix = {"mix": {"out": "both", "rows": ["first.train", "second.train"], **fields}}
    run = limbeck.run(
        Recipe.from_data({"limbeck": 1, "name": "mixed", "steps": [*steps, mix]}),
        folder / "run",
        progress=Silent(),
    )
    return load_from_disk(str(next(run.folder.glob("steps/*-mix-both")) / "rows")).to_list()


def asked(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"prompt": f"q{n}", "completion": "a", **more} for n in range(count)]


def test_shares_are_kept_with_as_many_rows_as_allow_it() -> None:
    step = Mix(out="m", rows=("a", "b"), shares=(0.2, 0.8))
    assert step.counts({"a": 100, "b": 40}) == {"a": 10, "b": 40}
    assert step.counts({"a": 5, "b": 400}) == {"a": 5, "b": 20}
    assert Mix(out="m", rows=("a", "b")).counts({"a": 7, "b": 9}) == {"a": 7, "b": 9}


def test_rows_say_where_they_are_from_and_a_column_of_some_changes_nothing_in_the_others(tmp_path):
    rows = mixed(tmp_path, asked(4, finished=False), asked(3))
    assert [row["mixed_from"] for row in rows] == ["first.train"] * 4 + ["second.train"] * 3
    assert len({row["id"] for row in rows}) == 7
    # Nobody cut the answers of the second file: their end is learnt.
    assert [is_finished(row) for row in rows] == [False] * 4 + [True] * 3


def test_drawn_rows_are_the_same_for_a_seed_and_none_comes_twice(tmp_path):
    drawn = [
        [row["prompt"] for row in mixed(tmp_path / name, asked(20), asked(30), shares=[0.5, 0.5], seed=seed)]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
        if not (tmp_path / name).mkdir()
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(set(one[:20])) == 20 and len(set(one[20:])) == 20 for one in drawn)


def test_rows_of_several_kinds_and_shares_that_are_none_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(RowError, match=r"one kind, got first\.train: prompt"):
        mixed(tmp_path, asked(2), [{"text": "a"}, {"text": "b"}])
    with pytest.raises(ConfigError) as caught:
        mixed(tmp_path, asked(2), asked(2), shares=[0.5])
    said = str(caught.value)
    assert "must be 2, one for each of rows, got 1" in said and "add up to 1, got 0.5" in said


def test_conversations_with_calls_and_without_are_mixed(tmp_path):
    asks, says = {"role": "user", "content": "2 and 3?"}, {"role": "assistant", "content": "5"}
    function = {"name": "add", "arguments": '{"a": 2, "b": 3}'}
    calls = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }
    given = {"role": "tool", "tool_call_id": "c", "name": "add", "content": "5"}
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    traces = [{"messages": [asks, calls, given, says], "tools": json.dumps(tools)}]
    rows = mixed(tmp_path, [{"messages": [asks, says]}], traces)
    plain, trace = ([{k: v for k, v in turn.items() if v} for turn in row["messages"]] for row in rows)
    assert plain == [asks, says]
    assert trace[1]["tool_calls"][0]["function"]["name"] == "add" and trace[2]["tool_call_id"] == "c"
