"""The journal of a teacher: what was asked, each attempt before it is sent, each answer before it is used."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from limbeck.core.asking import Failure, FailureClass, Usage
from limbeck.core.errors import ResourceError, StoreError
from limbeck.endpoint import lock
from limbeck.endpoint.codec import packed
from limbeck.endpoint.filesystems import shared_filesystem
from limbeck.endpoint.schema import SCHEMA, VERSION
from limbeck.endpoint.spend import COLUMNS, Most, Spend, Tally

PACE = 0.004
"""Seconds between two commits while much is written: all that came in between shares one."""

_BUSY = 5.0  # seconds that the first look at a file waits for a process that is closing it
_CACHE = -16_000  # kilobytes of pages that are kept in memory


@dataclass(frozen=True, slots=True)
class Sent:
    """An attempt that is under way."""

    number: int
    key: str
    most: Most


class Journal:
    """A SQLite file that one process writes.

    What is queued within a few milliseconds is one transaction. Every writing method returns when its
    transaction is committed, and not before: an attempt that is sent, and a reply that is handed on, are in
    the file whatever happens then.
    """

    def __init__(
        self, path: Path, *, scope: str = "", durability: Literal["normal", "full"] = "normal"
    ) -> None:
        """Open a journal, or begin one.

        Args:
            path: of the file; its folder is made.
            scope: whose spending is counted together, such as a run folder.
            durability: `full` waits for the disk at every commit, and survives a loss of power.

        Raises:
            StoreError: another process writes to it, or it is something else.
        """
        self.path, self.scope = path, scope
        self.shared = shared_filesystem(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _said(path):
            self._database = _opened(
                path, full=durability == "full" or self.shared is not None, shared=self.shared
            )
            try:
                lock.take(self._database, path)
                self.earlier = self._earlier()
                self._run, self._next = self._begun()
            except BaseException:
                self._database.close()
                raise
        self._full = durability == "full" or self.shared is not None
        self._lookup = self._database.cursor()
        self.tally = Tally()
        self._queued: list[tuple[str, tuple[Any, ...]]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._flushing = False
        self._last = 0.0
        self._pulse: asyncio.TimerHandle | None = None
        self._broken: BaseException | None = None
        self._syncing: asyncio.Future[None] | None = None

    def answer(self, key: str) -> bytes | None:
        """What was answered under a key, as it was given to `answered`."""
        found = self._lookup.execute("SELECT body FROM responses WHERE key = ?", (key,)).fetchone()
        return found[0] if found else None

    def failure(self, key: str) -> Failure | None:
        """Why what is asked under a key has no answer, and will have none."""
        found = self._lookup.execute(
            "SELECT kind, reason, message, status, attempts FROM failures WHERE key = ?", (key,)
        ).fetchone()
        if found is None:
            return None
        kind, reason, message, status, attempts = found
        return Failure(FailureClass(kind), reason, message, status=status, key=key, attempts=attempts)

    async def begin(self, key: str, content: bytes, most: Most) -> Sent:
        """Write down an attempt before it is sent, with the most that it can take."""
        sent = Sent(self._next, key, most)
        self._next += 1
        now = time.time()
        self._queue(_REQUEST, (key, packed(content), now))
        bounds = (most.prompt, most.completion, _text(most.cost))
        self._queue(_ATTEMPT, (sent.number, key, self._run, now, *bounds))
        await self._committed()
        return sent

    def answered(
        self,
        sent: Sent,
        body: bytes,
        *,
        usage: Usage,
        cost: Decimal | None,
        fingerprint: str = "",
        calls: int = 1,
    ) -> asyncio.Future[None]:
        """Keep an answer, and what it cost, in one transaction.

        Args:
            calls: that it took; 0 where another answer of the same call counts it.
        """
        now = time.time()
        self.tally.add(usage, cost, calls=calls)
        self._queue(_RESPONSE, (sent.key, body, now, sent.number, fingerprint or None))
        basis = "estimated" if usage.estimated else "usage"
        counted = (usage.prompt, usage.cached, usage.completion, usage.reasoning)
        self._queue(_SETTLED, (now, "answered", None, None, None, *counted, _text(cost), basis, sent.number))
        return self._committed()

    def failed(
        self,
        sent: Sent,
        failure: Failure,
        *,
        usage: Usage,
        cost: Decimal | None,
        last: bool,
        calls: int = 1,
    ) -> asyncio.Future[None]:
        """Write down how an attempt ended without an answer.

        Args:
            usage: that is paid for all the same, if it can be.
            last: nothing else is to be tried, in this run or a later one.
            calls: that it was; 0 where another request of the same call counts it.
        """
        now = time.time()
        if failure.kind is not FailureClass.RATE:
            self.tally.add(usage, cost, calls=calls)
        counted = (usage.prompt, usage.cached, usage.completion, usage.reasoning)
        said = (failure.status, failure.reason, failure.retry_after)
        basis = "estimated" if usage.estimated else "none"
        self._queue(_SETTLED, (now, failure.kind.value, *said, *counted, _text(cost), basis, sent.number))
        if last:
            content = (failure.kind.value, failure.reason, failure.message, failure.status, failure.attempts)
            self._queue(_FAILURE, (sent.key, *content, now))
        return self._committed()

    def abandoned(self, sent: Sent) -> None:
        """Write down that an attempt is no longer waited for: it may have been billed."""
        self.tally.lose(sent.most)
        bounds = (sent.most.prompt, None, sent.most.completion, None, _text(sent.most.cost))
        self._queue(_SETTLED, (time.time(), "unknown", None, "cancelled", None, *bounds, "most", sent.number))

    def left(self, sent: Sent) -> None:
        """Write down that an attempt goes on without this process, in a batch that is found again."""
        bounds = (sent.most.prompt, None, sent.most.completion, None, None)
        self._queue(_SETTLED, (time.time(), "left", None, "batch", None, *bounds, "batch", sent.number))

    def forget_failures(self) -> int:
        """Forget which requests have no answer, so that they are asked again; how many those were."""
        with _said(self.path):
            return self._database.execute("DELETE FROM failures").rowcount

    async def aclose(self) -> None:
        """Commit what is queued, and let another process write."""
        while self._syncing is not None:
            await asyncio.wait([self._syncing])
        if self._broken is None and self._queued:
            self._write()
            self._commit()
            self._settle(None)
        if self._pulse is not None:
            self._pulse.cancel()
        with contextlib.suppress(sqlite3.Error):
            lock.release(self._database)
        self._database.close()

    def _queue(self, statement: str, values: tuple[Any, ...]) -> None:
        self._queued.append((statement, values))

    def _committed(self) -> asyncio.Future[None]:
        """Done once everything that is queued now is in the file."""
        if self._broken is not None:
            raise self._broken
        loop = asyncio.get_running_loop()
        if self._pulse is None:
            self._pulse = loop.call_later(lock.BEAT, self._beat)
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        if not self._flushing:
            self._flushing = True
            pause = self._last + PACE - loop.time()
            if pause > 0:
                loop.call_later(pause, self._flush)
            else:
                loop.call_soon(self._flush)
        return future

    def _flush(self) -> None:
        """Write what is queued; the disk itself is waited for beside the event loop."""
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        try:
            self._write()
            if not self._full:  # a few tens of microseconds: the system writes it when it likes
                self._commit()
        except BaseException as error:
            self._settle(error)
            return
        if not self._full:
            self._settle(None)
            return
        waiting, self._waiting = self._waiting, []
        self._syncing = loop.run_in_executor(None, self._commit)
        self._syncing.add_done_callback(lambda done: self._synced(waiting, done.exception()))

    def _synced(self, waiting: list[asyncio.Future[None]], error: BaseException | None) -> None:
        self._syncing = None
        later, self._waiting = self._waiting, waiting
        self._settle(error)
        self._waiting = later
        if later and error is None:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _settle(self, error: BaseException | None) -> None:
        waiting, self._waiting = self._waiting, []
        self._flushing = False
        if error is not None:
            self._broken = _in_words(error, self.path)
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
        for future in waiting:
            if future.done():
                continue
            if self._broken is None:
                future.set_result(None)
            else:
                future.set_exception(self._broken)

    def _write(self) -> None:
        queued, self._queued = self._queued, []
        by_statement: dict[str, list[tuple[Any, ...]]] = {statement: [] for statement in _IN_ORDER}
        for statement, values in queued:
            by_statement[statement].append(values)
        self._database.execute("BEGIN")
        for statement, rows in by_statement.items():
            if rows:
                self._database.executemany(statement, rows)
        self._database.execute(_TOTALS, (*map(_stored, self.tally.spend().row()), self._run))

    def _beat(self) -> None:
        """Show processes elsewhere that this one lives, also while it waits for the server."""
        self._pulse = asyncio.get_running_loop().call_later(lock.BEAT, self._beat)
        if self._syncing is None:
            with contextlib.suppress(sqlite3.Error):
                lock.beat(self._database)

    def _commit(self) -> None:
        self._database.execute("COMMIT")

    def _not_in_batches(self) -> str:
        """Leaves out attempts whose answers are still to come, or lie here: they are counted then."""
        found = self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'batch_items'").fetchone()
        return " AND key NOT IN (SELECT key FROM batch_items)" if found else ""

    def _begun(self) -> tuple[int, int]:
        """The number of this run, and that of its first attempt."""
        (run,) = self._database.execute(
            "INSERT INTO runs (scope, started) VALUES (?, ?) RETURNING id", (self.scope, time.time())
        ).fetchone()
        (number,) = self._database.execute("SELECT coalesce(max(id), 0) + 1 FROM attempts").fetchone()
        return run, number

    def _earlier(self) -> Spend:
        """What this scope spent before; attempts of which nobody knows the end count in full."""
        self._database.execute("BEGIN IMMEDIATE")
        self._count_lost()
        self._database.execute("COMMIT")
        rows = self._database.execute(
            f"SELECT {', '.join(COLUMNS)} FROM runs WHERE scope = ?", (self.scope,)
        ).fetchall()
        return sum((Spend.of_row(row) for row in rows), Spend())

    def _count_lost(self) -> None:
        """Add attempts that a process died with to what its run may have spent."""
        lost = f"WHERE state = 'sent'{self._not_in_batches()}"
        runs = self._database.execute(
            f"SELECT run, count(*), sum(prompt), sum(completion), group_concat(cost) FROM attempts {lost} "
            "GROUP BY run"
        ).fetchall()
        for run, calls, prompt, completion, costs in runs:
            (before,) = self._database.execute(
                "SELECT unknown_cost FROM runs WHERE id = ?", (run,)
            ).fetchone()
            total = sum(map(Decimal, costs.split(",") if costs else ()), Decimal(before))
            self._database.execute(
                "UPDATE runs SET unknown_calls = unknown_calls + ?, unknown_tokens = unknown_tokens + ?, "
                "unknown_cost = ? WHERE id = ?",
                (calls, prompt + completion, str(total), run),
            )
        self._database.execute(f"UPDATE attempts SET state = 'unknown', basis = 'most' {lost}")
        self._database.execute("UPDATE attempts SET state = 'left', basis = 'batch' WHERE state = 'sent'")


def _opened(path: Path, *, full: bool, shared: str | None) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY)
    try:
        if shared is not None:  # without the shared memory that a network file system does not give
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
        database.execute(f"PRAGMA cache_size = {_CACHE}")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            database.executescript(SCHEMA)
        elif version != VERSION:
            raise StoreError(
                f"journal must be of version {VERSION}, got version {version} in {path}. Use the limbeck "
                f"that "
                "wrote it, or name another file by `journal: FILE`."
            )
    except BaseException:
        database.close()
        raise
    return database


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _in_words(error, path) from error


def _in_words(error: BaseException, path: Path) -> BaseException:
    if not isinstance(error, sqlite3.Error):
        return error
    said = str(error)
    if "full" in said or "disk I/O" in said:
        return ResourceError(
            f"disk must have room for {path}, got: {said}. Free some space and run the same command again: "
            "what was answered is kept."
        )
    if "locked" in said:
        return StoreError(
            f"journal must be written by one process at a time, got {path}, which another one holds. Wait "
            f"until "
            "that one ends, or name another file by `journal: FILE`."
        )
    if "not a database" in said or "malformed" in said:
        return StoreError(
            f"journal must be a sound SQLite file, got {path} ({said}). Keep a copy of it, try `sqlite3 FILE "
            "'.recover'` to save its answers, or name another file by `journal: FILE`."
        )
    return StoreError(f"journal must be a file that can be read and written, got {path} ({said}).")


def _text(cost: Decimal | None) -> str | None:
    return None if cost is None else str(cost)


def _stored(number: int | Decimal) -> int | str:
    return str(number) if isinstance(number, Decimal) else number


_REQUEST = "INSERT OR IGNORE INTO requests (key, content, created) VALUES (?, ?, ?)"
_ATTEMPT = (
    "INSERT INTO attempts (id, key, run, started, state, prompt, completion, cost) "
    "VALUES (?, ?, ?, ?, 'sent', ?, ?, ?)"
)
_RESPONSE = (
    "INSERT OR REPLACE INTO responses (key, body, answered, attempt, fingerprint) VALUES (?, ?, ?, ?, ?)"
)
_SETTLED = (
    "UPDATE attempts SET ended = ?, state = ?, status = ?, reason = ?, retry_after = ?, prompt = ?, cached "
    "= ?, "
    "completion = ?, reasoning = ?, cost = ?, basis = ? WHERE id = ?"
)
_FAILURE = (
    "INSERT OR REPLACE INTO failures (key, kind, reason, message, status, attempts, failed) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_TOTALS = f"UPDATE runs SET ({', '.join(COLUMNS)}) = ({', '.join('?' * len(COLUMNS))}) WHERE id = ?"
# Within a transaction an attempt is written before it is settled.
_IN_ORDER = (_REQUEST, _ATTEMPT, _RESPONSE, _SETTLED, _FAILURE)
