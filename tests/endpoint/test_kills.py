"""A process that is killed loses nothing that was answered, and pays for nothing twice."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from limbeck.core.errors import StoreError
from limbeck.endpoint.journal import Journal
from tests.endpoint.fault_server import FaultServer

KILLS, ROWS, WORKERS = 20, 400, 8


@asynccontextmanager
async def _runner():
    """A process that starts runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.endpoint.killed",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.stdin.close()
        await process.wait()


async def _start(process, **settings):
    process.stdin.write(json.dumps(settings).encode() + b"\n")
    return int(await process.stdout.readline())


async def _end(process):
    return int(await process.stdout.readline())


def test_killed_at_twenty_moments_it_ends_with_the_same_rows_and_pays_for_no_answer_twice(tmp_path):
    draw = random.Random(0)

    async def run():
        async with FaultServer(seconds=0.02) as server, _runner() as process:
            whole = {"url": server.url, "folder": str(tmp_path / "whole"), "rows": ROWS, "workers": WORKERS}
            (tmp_path / "whole").mkdir()
            await _start(process, **whole)
            assert await _end(process) == 0
            assert len(server.calls) == ROWS
            server.calls.clear()
            (tmp_path / "killed").mkdir()
            endings = []
            for number in range(KILLS):
                before = len(server.calls)
                child = await _start(process, **(whole | {"folder": str(tmp_path / "killed")}))
                while (
                    number % 4 and len(server.calls) == before
                ):  # the others may die as they open the journal
                    await asyncio.sleep(0.001)
                await asyncio.sleep(draw.uniform(0.0, 0.08))
                os.kill(child, signal.SIGKILL)
                endings.append(await _end(process))
            await _start(process, **(whole | {"folder": str(tmp_path / "killed")}))
            assert await _end(process) == 0
            return endings, Counter(call.prompt for call in server.calls)

    endings, asked = asyncio.run(run())
    assert endings.count(-signal.SIGKILL) == KILLS
    assert (tmp_path / "killed" / "export.jsonl").read_bytes() == (
        tmp_path / "whole" / "export.jsonl"
    ).read_bytes()
    again = sum(count - 1 for count in asked.values())
    assert len(asked) == ROWS and again <= KILLS * WORKERS
    database = sqlite3.connect(tmp_path / "killed" / "journal.sqlite")
    (unknown,) = database.execute("SELECT count(*) FROM attempts WHERE state = 'unknown'").fetchone()
    # each call that was made again is one of which the journal knows that it may have been paid for
    assert 0 < again <= unknown <= KILLS * WORKERS
    (counted,) = database.execute("SELECT sum(unknown_calls) FROM runs").fetchone()
    assert counted == unknown


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path):
    async def run():
        async with FaultServer(seconds=60.0) as server, _runner() as process:
            child = await _start(process, url=server.url, folder=str(tmp_path), rows=5, workers=2)
            while not server.calls:
                await asyncio.sleep(0.01)
            with pytest.raises(
                StoreError, match=f"one process at a time, got .*journal.sqlite, which process {child}"
            ):
                Journal(tmp_path / "journal.sqlite")
            os.kill(child, signal.SIGKILL)
            await _end(process)
            journal = Journal(tmp_path / "journal.sqlite")
            await journal.aclose()
            return journal.earlier.unknown_calls

    assert asyncio.run(run()) == 2
