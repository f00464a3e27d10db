"""Captures that are killed at any moment end in the same bytes, and redo no finished shard."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from limbeck.core.errors import ResourceError, StoreError
from limbeck.core.storage import storage_said
from limbeck.signals import layout
from limbeck.signals.reader import Signals
from tests.signals.capturing import ROWS, SHARD_TOKENS
from tests.signals.world import World, files_of

LONGEST = 2.0  # seconds a capture may work before it is killed


def start(folder: Path) -> subprocess.Popen[str]:
    """A capture that has loaded everything and begins."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.signals.capturing", str(folder)],
        cwd=root, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def shards(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of writing of every shard that is there."""
    found = {path.name: path.stat() for path in folder.glob("shard-*.arrow")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def kill_and_resume(folder: Path, kills: int, seed: int) -> int:
    """Capture with `kills` kills at random moments; how many hit an unfinished capture."""
    moments, hits = random.Random(seed), 0
    before: dict[str, tuple[int, int]] = {}
    for _ in range(kills):
        process = start(folder)
        time.sleep(moments.uniform(0, LONGEST / 2))
        hits += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = shards(folder)
        assert {name: now.get(name) for name in before} == before, "a finished shard was made again"
        before = now
    process = start(folder)
    assert process.wait(60) == 0
    now = shards(folder)
    assert {name: now[name] for name in before} == before, "a finished shard was made again"
    return hits


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    World(ROWS).capture(folder, shard_tokens=SHARD_TOKENS)
    return files_of(folder)


def test_a_killed_capture_ends_in_the_same_bytes_and_holds_no_lock(whole, tmp_path):
    process = start(tmp_path)
    while not shards(tmp_path):
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)  # or it may be done before the second capture begins
    with pytest.raises(StoreError, match="another process is writing"):
        World(ROWS).capture(tmp_path, shard_tokens=SHARD_TOKENS)
    process.kill()
    process.wait()
    done = shards(tmp_path)
    assert files_of(tmp_path) != whole
    (tmp_path / ".begun.json.1.part").write_text("")
    World(ROWS).capture(tmp_path, shard_tokens=SHARD_TOKENS)
    assert files_of(tmp_path) == whole
    (tmp_path / "begun.json").write_text("{}")
    World(ROWS).capture(tmp_path, shard_tokens=SHARD_TOKENS)
    left = {path.name for path in tmp_path.iterdir()} - {*whole, "tokenizer"}
    assert all(name.startswith(".lock-") for name in left)
    assert {name: shards(tmp_path)[name] for name in done} == done


@pytest.mark.study
def test_a_capture_killed_twenty_times_ends_in_the_same_bytes(whole, tmp_path):
    hits = 0
    for round_ in range(4):  # a store is done after a few kills: four stores, five kills each
        folder = tmp_path / str(round_)
        hits += kill_and_resume(folder, kills=5, seed=round_)
        assert files_of(folder) == whole
    print(f"{hits} of 20 kills hit an unfinished capture")


@pytest.mark.parametrize("payload", ["topk", "hidden"])
def test_a_capture_that_fails_anywhere_goes_on_without_asking_again(payload, tmp_path):
    whole = World()
    whole.capture(tmp_path / "whole", payload=payload)
    for failing in range(1, len(whole.asked)):
        world = World()
        folder = tmp_path / str(failing)

        def answer(batch, world=world, failing=failing):
            if len(world.asked) == failing:
                raise KeyboardInterrupt
            return World.answer(world, batch)

        world.answer = answer
        with pytest.raises(KeyboardInterrupt):
            world.capture(folder, payload=payload)
        done = shards(folder)
        again = World()
        again.capture(folder, payload=payload)
        assert files_of(folder) == files_of(tmp_path / "whole")
        assert {name: shards(folder)[name] for name in done} == done


def test_a_finished_store_is_not_asked_for_again(tmp_path):
    World().capture(tmp_path)
    again = World()
    again.capture(tmp_path)
    assert again.asked == []


def test_a_full_disk_is_said_and_what_was_finished_is_kept(tmp_path, monkeypatch):
    write, written = pa.RecordBatchFileWriter.write_table, []

    def failing(self, table, *arguments):
        if "row_id" in table.column_names and len(written) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(table)
        return write(self, table, *arguments)

    whole = World()
    whole.capture(tmp_path / "whole", shard_tokens=128)
    monkeypatch.setattr(layout, "_write", lambda writer, table: failing(writer, table))
    with (
        pytest.raises(ResourceError, match=r"disk must have room for .*: what is finished is kept"),
        storage_said(),
    ):
        World().capture(tmp_path / "store", shard_tokens=128)
    monkeypatch.undo()
    assert not list((tmp_path / "store").glob(".shard-*")), "the unfinished file gives its room back"
    with pytest.raises(StoreError, match=r"whose capture was interrupted\. Run the same capture again"):
        Signals(tmp_path / "store")
    World().capture(tmp_path / "store", shard_tokens=128)
    assert files_of(tmp_path / "store") == files_of(tmp_path / "whole")


def test_a_second_capture_of_one_store_is_refused(tmp_path):
    with (
        layout.locked(tmp_path, 0),
        pytest.raises(StoreError, match=r"one capture at a time, got .* another process is writing"),
    ):
        World().capture(tmp_path)
    World().capture(tmp_path)


def test_ranks_capture_different_shards_of_one_store(tmp_path):
    World(ROWS).capture(tmp_path / "one", shard_tokens=SHARD_TOKENS)
    first, second = World(ROWS), World(ROWS)
    both = {"ranks": 2, "shard_tokens": SHARD_TOKENS}

    def other_rank() -> None:
        if not second.asked:  # called once the codebook is there, and again at the end
            second.capture(tmp_path / "two", rank=1, **both)

    first.capture(tmp_path / "two", rank=0, wait=other_rank, **both)
    asked = [{row for batch in world.asked for line in batch for row in line} for world in (first, second)]
    assert asked[0] and asked[1] and not asked[0] & asked[1]
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")
