"""kill -9 while a teacher is asked: nothing that was answered is asked again, and the rows are the same."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from datasets import load_from_disk

from limbeck.recipes.text import write_yaml
from tests.runs.killed import asked_for, run_killed, run_whole
from tests.runs.served import serving
from tests.runs.world import write_rows

SAMPLES, WORKERS = 2, 4


def recipe_of(data: Path, url: str, rows: int = 12) -> str:
    """Completions of rows, and rows that an operator makes of the same prompts."""
    write_rows(data / "rows.jsonl", [{"prompt": f"question {n}"} for n in range(rows)])
    teacher = {"endpoint": url, "model": "model", "workers": WORKERS}
    asks = {"teacher": teacher, "rows": "rows.train", "samples": SAMPLES}
    gates = [{"name": "length", "max": 21}, "exact_duplicate"]
    steps = [
        {"load": {"out": "rows", "path": str(data / "rows.jsonl"), "heldout": 0}},
        {"generate": {"out": "written", **asks}},
        {"elicit": {"out": "made", "operator": "answer", "gates": gates, **asks}},
    ]
    return write_yaml({"limbeck": 1, "name": "killed", "steps": steps})


def kept_keys(data: Path) -> set[str]:
    """Requests of which the journal holds the answer."""
    found: set[str] = set()
    for path in data.glob("requests/*.sqlite"):
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            found |= {key for (key,) in database.execute("SELECT key FROM responses")}
    return found


def test_a_run_that_is_killed_at_many_moments_asks_for_what_is_missing_alone(tmp_path, moments):
    """`moments` kills, each a few calls later; then it runs to its end."""
    recipe = tmp_path / "recipe.yaml"
    rows = max(12, 2 * moments)  # so that each process has more calls than can be under way
    whole = 2 * rows * SAMPLES  # calls of both steps
    with serving(says=lambda call: f"{call.prompt}, {call.body['seed']}", seconds=0.01) as server:
        recipe.write_text(recipe_of(tmp_path, server.url, rows), encoding="utf-8")
        kept = []
        for _ in range(moments):
            assert run_killed(recipe, tmp_path / "run", server, calls=whole // (moments + 1)) == -9
            kept.append(len(kept_keys(tmp_path)))
        assert run_whole(recipe, tmp_path / "run") == 0
        calls = list(server.calls)
        assert run_whole(recipe, tmp_path / "whole" / "run") == 0
    assert kept == sorted(kept) and kept[0] < kept[-1]
    # Of the calls of a killed process only those under way can be asked again.
    assert len(calls) <= whole + moments * WORKERS
    assert len({asked_for(call.body) for call in calls}) == whole
    for step in ("1-generate-written", "2-elicit-made"):
        assert rows_of(tmp_path / "run", step) == rows_of(tmp_path / "whole" / "run", step)


def rows_of(run: Path, step: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = load_from_disk(str(run / "steps" / step / "rows")).to_list()
    assert rows
    return rows
