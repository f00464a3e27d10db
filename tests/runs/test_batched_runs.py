"""Runs whose teacher is asked by its provider's batch API, from the plan to the rows."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from limbeck.endpoint.batch.transport import BatchTransport
from limbeck.endpoint.transports import making
from limbeck.runs.checking.plan import make_plan
from tests.endpoint.batch_server import BatchServer, batch_server
from tests.endpoint.test_batch import all_shuffled, answered, refused
from tests.runs.test_elicit import PRICES, recipe, rows_in, run
from tests.runs.world import write_rows

ROWS = 30


@pytest.fixture
def data(tmp_path, monkeypatch):
    quick = partial(BatchTransport, linger=0.2, pace=0.02)
    monkeypatch.setattr(making, "BatchTransport", quick)
    write_rows(tmp_path / "rows.jsonl", [{"prompt": f"question {n}"} for n in range(ROWS)])
    (tmp_path / "prices.yaml").write_text(PRICES, encoding="utf-8")
    return tmp_path


@contextmanager
def provider(*outcomes: Any) -> Iterator[BatchServer]:
    """A batch server in a thread with a loop of its own, as runs block theirs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    entered = batch_server(*outcomes)
    try:
        yield asyncio.run_coroutine_threadsafe(entered.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(entered.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def asked(data, url: str, **changes: Any):
    teacher = {"batch": True, "workers": 2, "prices": str(data / "prices.yaml")}
    return recipe(data, url, teacher=teacher, **changes)


def test_all_rows_of_a_step_go_out_in_one_batch_and_cost_its_share(data):
    with provider(all_shuffled) as server:
        plan, _ = make_plan(asked(data, server.url), data / "run")
        assert "by the batch API" in " ".join(plan.steps[1].notes)
        folder = run(asked(data, server.url), data / "run")
        assert [len(lines) for lines in server.lines()] == [ROWS]
        run(asked(data, server.url, failures="skip"), data / "again")
        assert len(server.batches) == 1, "what was answered is not asked again"
    rows, said = rows_in(folder / "rows"), json.loads((folder / "yield.json").read_text())
    assert [row["completion"] for row in rows] == [f"answer to question {n}" for n in range(ROWS)]
    # Each answer reads 3 tokens at 2 and writes 2 at 10, of which half is billed: 13 millionths.
    assert float(said["cost"]) == pytest.approx(ROWS * 13e-6) and said["calls"] == ROWS


def test_what_a_batch_refuses_is_listed_and_what_it_left_out_goes_into_the_next(data):
    def partly(lines: list[Any]) -> tuple[str, list[Any], list[Any]]:
        return "completed", [answered(line) for line in lines[2:20]], [refused(lines[1])]

    with provider(partly, all_shuffled) as server:
        folder = run(asked(data, server.url), data / "run")
        assert [len(lines) for lines in server.lines()] == [ROWS, ROWS - 19]
    assert len(rows_in(folder / "rows")) == ROWS - 1
    (line,) = (folder / "failures.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "bad_request"
