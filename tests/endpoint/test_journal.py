"""The journal: who may write it, what it counts as spent, and what it says when it cannot be used."""

import asyncio
import os
import socket
import sqlite3
import time
from decimal import Decimal

import psutil
import pytest

from limbeck.core.asking import Usage
from limbeck.core.errors import StoreError
from limbeck.endpoint import filesystems
from limbeck.endpoint.journal import Journal
from limbeck.endpoint.spend import Most
from tests.endpoint.scripted import Scripted, question, scripted_engine
from tests.endpoint.virtual_time import run_at_once


def _with_lock(path, *, pid, host, started, beat):
    """A journal that someone holds."""
    asyncio.run(Journal(path).aclose())
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO lock VALUES (1, ?, ?, ?, ?)", (pid, host, started, beat))


def _opens(path):
    asyncio.run(Journal(path).aclose())


def test_one_process_does_not_open_a_journal_twice(tmp_path):
    path = tmp_path / "journal.sqlite"
    first = Journal(path)
    with pytest.raises(StoreError, match="which this process holds"):
        Journal(path)
    asyncio.run(first.aclose())
    _opens(path)


def test_a_process_that_lives_holds_it_and_one_that_took_over_its_number_does_not(tmp_path):
    path, parent = tmp_path / "journal.sqlite", psutil.Process(os.getppid())
    _with_lock(path, pid=parent.pid, host=socket.gethostname(), started=parent.create_time(), beat=0)
    with pytest.raises(StoreError, match=f"which process {parent.pid} holds"):
        Journal(path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE lock SET started = started - 1000")
    _opens(path)


def test_a_process_elsewhere_holds_it_while_it_gives_signs_of_life(tmp_path):
    path = tmp_path / "journal.sqlite"
    _with_lock(path, pid=1, host="elsewhere", started=0, beat=time.time() - 30)
    with pytest.raises(StoreError, match="process 1 on elsewhere holds"):
        Journal(path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE lock SET beat = ?", (time.time() - 300,))
    _opens(path)


def test_a_process_that_waits_for_its_server_gives_signs_of_life(tmp_path):
    path = tmp_path / "journal.sqlite"

    async def run():
        async with scripted_engine(Scripted(seconds=300.0), tmp_path) as engine:
            asking = asyncio.create_task(engine.ask(question()))
            await asyncio.sleep(1)
            with sqlite3.connect(path) as database:
                database.execute("UPDATE lock SET beat = 0")
            await asyncio.sleep(20)
            with sqlite3.connect(path) as database:
                (beat,) = database.execute("SELECT beat FROM lock").fetchone()
            await asking
            return beat

    assert time.time() - run_at_once(run()) < 60


def test_what_was_under_way_when_a_process_died_counts_as_the_most_it_can_have_cost(tmp_path):
    path = tmp_path / "journal.sqlite"

    async def die():
        journal = Journal(path, scope="run")
        await journal.begin("a", b"{}", Most(10, 20, Decimal("0.5")))
        sent = await journal.begin("b", b"{}", Most(10, 20, Decimal("0.5")))
        await journal.answered(sent, b"{}", usage=Usage(10, 0, 5), cost=Decimal("0.2"))
        journal._database.close()  # as a kill does
        return journal

    asyncio.run(die())
    with sqlite3.connect(path) as database:
        database.execute("UPDATE lock SET started = 0")
    journal = Journal(path, scope="run")
    assert (journal.earlier.calls, journal.earlier.tokens, journal.earlier.cost) == (1, 15, Decimal("0.2"))
    assert (journal.earlier.unknown_calls, journal.earlier.unknown_tokens) == (1, 30)
    assert journal.earlier.unknown_cost == Decimal("0.5")
    assert (journal.answer("a"), journal.answer("b")) == (None, b"{}")
    asyncio.run(journal.aclose())
    again = Journal(path, scope="run")  # counted once
    assert again.earlier == journal.earlier
    asyncio.run(again.aclose())


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_many_answers_share_a_commit_and_each_is_in_the_file_before_it_is_handed_on(tmp_path, durability):
    path = tmp_path / "journal.sqlite"

    async def run():
        engine = scripted_engine(Scripted(), tmp_path, workers=100, durability=durability)
        commits = []
        engine._journal._database.set_trace_callback(
            lambda said: commits.append(said) if said == "COMMIT" else None
        )

        async def work(request):
            reply = await engine.ask(request)
            reader = sqlite3.connect(path)
            (found,) = reader.execute("SELECT count(*) FROM responses WHERE key = ?", (reply.key,)).fetchone()
            reader.close()
            return found

        async with engine:
            requests = [question(str(number)) for number in range(200)]
            return [row.value async for row in engine.map(requests, work)], len(commits)

    found, commits = asyncio.run(run())
    assert found == [1] * 200 and commits < 100  # 400 writes


def test_the_disk_is_waited_for_at_every_commit_only_where_asked(tmp_path):
    for durability, level in (("normal", 1), ("full", 2)):
        journal = Journal(tmp_path / durability, durability=durability)
        assert journal._database.execute("PRAGMA synchronous").fetchone() == (level,)
        assert journal._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        asyncio.run(journal.aclose())


def test_something_else_than_a_journal_is_refused(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.write_text("this is a text file, and long enough to be looked at as a database" * 10)
    with pytest.raises(StoreError, match="must be a sound SQLite file"):
        Journal(path)
    other = tmp_path / "later.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="version 1, got version 99"):
        Journal(other)


def test_a_network_file_system_is_found_and_said(tmp_path, monkeypatch):
    class Mounted:
        mountpoint, fstype = str(tmp_path.resolve()), "nfs4"

    assert filesystems.shared_filesystem(tmp_path) is None
    monkeypatch.setattr(filesystems.psutil, "disk_partitions", lambda all: [Mounted])
    monkeypatch.setattr("limbeck.endpoint.journal._BUSY", 0.01)
    assert filesystems.shared_filesystem(tmp_path / "runs" / "requests") == "nfs4"

    async def run():
        with pytest.warns(UserWarning, match=r"network file system \(nfs4\)"):
            engine = scripted_engine(Scripted(), tmp_path)
        async with engine:
            await engine.ask(question())
            with pytest.raises(StoreError, match="which another one holds"):
                Journal(tmp_path / "journal.sqlite")

    asyncio.run(run())


def test_a_full_disk_ends_the_run_and_says_so(tmp_path):
    from limbeck.core.errors import ResourceError

    async def run():
        async with scripted_engine(Scripted("long " * 2_000), tmp_path) as engine:
            pages = engine._journal._database.execute("PRAGMA page_count").fetchone()[0]
            engine._journal._database.execute(f"PRAGMA max_page_count = {pages + 2}")
            for number in range(1_000):
                await engine.ask(question("".join(chr(33 + (number * k) % 90) for k in range(400))))

    with pytest.raises(ResourceError, match="disk must have room"):
        run_at_once(run())
