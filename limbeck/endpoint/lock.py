"""Who writes to a journal: one process at a time, and one that died does not stand in the way."""

import os
import socket
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from limbeck.core.errors import StoreError

BEAT = 10.0
"""Seconds between two signs of life of the process that holds the lock."""

_STALE = 6 * BEAT  # of a process on another machine, which cannot be looked at
_SAME = 2.0  # seconds by which two readings of one process's start may differ


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that writes: its id, its machine, when it started and when it last gave a sign of life."""

    pid: int
    host: str
    started: float
    beat: float

    def lives(self, *, now: float) -> bool:
        """Whether it may still be writing."""
        if self.host != socket.gethostname():
            return now - self.beat < _STALE
        try:
            # Ids are used again: it is the same process only if it started when that one did.
            return abs(psutil.Process(self.pid).create_time() - self.started) < _SAME
        except psutil.NoSuchProcess:
            return False


def this_process() -> Holder:
    """The process that asks."""
    started = psutil.Process().create_time()
    return Holder(os.getpid(), socket.gethostname(), started, time.time())


def take(database: sqlite3.Connection, path: Path) -> None:
    """Become the one that writes to a journal.

    Raises:
        StoreError: another process is.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        found = database.execute("SELECT pid, host, started, beat FROM lock").fetchone()
        holder = Holder(*found) if found else None
        if holder is not None and holder.lives(now=time.time()):
            raise StoreError(_taken(holder, path))
        mine = this_process()
        database.execute(
            "INSERT OR REPLACE INTO lock (id, pid, host, started, beat) VALUES (1, ?, ?, ?, ?)",
            (mine.pid, mine.host, mine.started, mine.beat),
        )
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def beat(database: sqlite3.Connection) -> None:
    """Give a sign of life."""
    database.execute("UPDATE lock SET beat = ? WHERE pid = ?", (time.time(), os.getpid()))


def release(database: sqlite3.Connection) -> None:
    """Let another process write."""
    database.execute("DELETE FROM lock WHERE pid = ? AND host = ?", (os.getpid(), socket.gethostname()))


def _taken(holder: Holder, path: Path) -> str:
    here = holder.host == socket.gethostname()
    who = "this process" if here and holder.pid == os.getpid() else f"process {holder.pid}"
    return (
        f"journal must be written by one process at a time, got {path}, which {who}"
        f"{'' if here else f' on {holder.host}'} holds. Wait until that one ends, or name another file by "
        "`journal: FILE`"
        + ("." if here else f"; a process that died is taken for dead {_STALE:.0f} seconds later.")
    )
