"""Which request is in which batch, in the journal: it outlives the process, as batches do."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limbeck.core.errors import StoreError
from limbeck.endpoint.codec import packed, unpacked

_TABLES = """
CREATE TABLE IF NOT EXISTS batches (
    tag TEXT PRIMARY KEY, id TEXT, count INTEGER NOT NULL, intended REAL NOT NULL, state TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS batch_items (key TEXT PRIMARY KEY, tag TEXT NOT NULL, result BLOB);
CREATE INDEX IF NOT EXISTS batch_items_by_tag ON batch_items (tag);
"""
_TAG = 32  # characters of a tag: metadata of batches holds 512
_BUSY = 30.0  # seconds to wait for the journal's own writer


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch: its tag, how many requests it has, when it was about to begin, and its id once it is known."""

    tag: str
    count: int
    intended: float
    id: str | None


class Book:
    """The batches of one teacher, in two tables of its journal."""

    def __init__(self, path: Path) -> None:
        """Opens the journal's file beside the journal itself, and forgets what the journal has answered.

        Raises:
            StoreError: the file cannot be written by two at once, as on a network file system.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._database = sqlite3.connect(path, isolation_level=None, timeout=_BUSY)
            self._database.execute("PRAGMA journal_mode = WAL")
            # An id that is lost is a batch that is paid for twice.
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_TABLES)
            self._forget_answered()
        except sqlite3.Error as error:
            raise StoreError(
                f"journal must lie on a disk of this machine for batches, got {path} ({error}). Name another "
                "file by `journal: FILE`."
            ) from None

    def intend(self, keys: Sequence[str]) -> Batch:
        """Writes down that a batch is about to be begun; its tag is that of no other batch."""
        before = self._database.execute("SELECT count(*) FROM batches").fetchone()[0]
        content = "\n".join((str(before), *sorted(keys)))
        tag = hashlib.sha256(content.encode()).hexdigest()[:_TAG]
        batch = Batch(tag, len(keys), time.time(), None)
        with self._writing():
            self._database.execute(
                "INSERT INTO batches VALUES (?, NULL, ?, ?, 'open')", (tag, batch.count, batch.intended)
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO batch_items VALUES (?, ?, NULL)", [(key, tag) for key in keys]
            )
        return batch

    def begun(self, batch: Batch, found: str) -> Batch:
        """Writes down the id of a batch."""
        self._database.execute("UPDATE batches SET id = ? WHERE tag = ?", (found, batch.tag))
        return replace(batch, id=found)

    def unanswered(self, tag: str) -> list[str]:
        """The keys of a batch that have no result."""
        found = self._database.execute("SELECT key FROM batch_items WHERE tag = ? AND result IS NULL", (tag,))
        return [key for (key,) in found]

    def drop(self, tag: str) -> list[str]:
        """Forgets a batch and what it has not answered; the keys of that."""
        with self._writing():
            missing = self._database.execute(
                "DELETE FROM batch_items WHERE tag = ? AND result IS NULL RETURNING key", (tag,)
            ).fetchall()
            self._database.execute("UPDATE batches SET state = 'ended' WHERE tag = ?", (tag,))
        return [key for (key,) in missing]

    def keep(self, results: Iterable[tuple[str, Any]]) -> list[str]:
        """Keeps results of requests that wait for one; their keys."""
        kept = []
        with self._writing():
            for key, result in results:
                body = packed(json.dumps(result).encode())
                found = self._database.execute(
                    "UPDATE batch_items SET result = ? WHERE key = ? AND result IS NULL", (body, key)
                )
                if found.rowcount:
                    kept.append(key)
        return kept

    def open(self) -> list[Batch]:
        """The batches whose end is not known, oldest first."""
        rows = self._database.execute(
            "SELECT tag, count, intended, id FROM batches WHERE state = 'open' ORDER BY intended"
        ).fetchall()
        return [Batch(*row) for row in rows]

    def holds(self, key: str) -> bool:
        """Whether a request is in a batch."""
        return (
            self._database.execute("SELECT 1 FROM batch_items WHERE key = ?", (key,)).fetchone() is not None
        )

    def result(self, key: str) -> Any:
        """The result of a request; None: there is none yet."""
        found = self._database.execute("SELECT result FROM batch_items WHERE key = ?", (key,)).fetchone()
        return json.loads(unpacked(found[0])) if found and found[0] is not None else None

    def forget(self, key: str) -> None:
        """Forgets a request, so that it goes into another batch."""
        self._database.execute("DELETE FROM batch_items WHERE key = ?", (key,))

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _forget_answered(self) -> None:
        tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master")}
        if "responses" in tables:
            self._database.execute(
                "DELETE FROM batch_items WHERE result IS NOT NULL AND key IN (SELECT key FROM responses)"
            )
