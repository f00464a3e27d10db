"""Reading a journal, also while a process writes it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limbeck.core.asking import Reply
from limbeck.core.errors import StoreError
from limbeck.endpoint.codec import decode, unpacked
from limbeck.endpoint.schema import VERSION


class JournalReader:
    """What a journal holds; nothing is written, and no lock is taken."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def holds(self, key: str) -> bool:
        """Whether a request was answered."""
        return self._database.execute("SELECT 1 FROM responses WHERE key = ?", (key,)).fetchone() is not None

    def refused(self, key: str) -> bool:
        """Whether a request has no answer for good."""
        return self._database.execute("SELECT 1 FROM failures WHERE key = ?", (key,)).fetchone() is not None

    def reply(self, key: str) -> Reply | None:
        """The answer to a request."""
        found = self._database.execute("SELECT body FROM responses WHERE key = ?", (key,)).fetchone()
        return decode(found[0], key=key, from_cache=True) if found else None

    def content(self, key: str) -> bytes | None:
        """A request as canonical JSON, images by their hashes."""
        found = self._database.execute("SELECT content FROM requests WHERE key = ?", (key,)).fetchone()
        return unpacked(found[0]) if found else None

    def written_tokens(self) -> float | None:
        """Tokens that an answer has on average; None before the first."""
        (mean,) = self._database.execute(
            "SELECT avg(completion) FROM attempts WHERE state = 'answered'"
        ).fetchone()
        return None if mean is None else float(mean)


@contextmanager
def reading(path: Path) -> Iterator[JournalReader | None]:
    """A journal to read from; None where there is none yet.

    Raises:
        StoreError: the file is something else.
    """
    if not path.is_file():
        yield None
        return
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            raise StoreError(f"journal must be of version {VERSION}, got version {version} in {path}.")
        yield JournalReader(database)
    except sqlite3.Error as error:
        raise StoreError(f"journal must be a sound SQLite file, got {path} ({error}).") from error
    finally:
        database.close()
