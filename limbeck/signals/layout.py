"""The files of a store: their names, their atomic appearance, and who may write them."""

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from limbeck.core.errors import StoreError

CODEBOOK, HEAD, TOKENIZER = "codebook.arrow", "head.safetensors", "tokenizer"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def shard_name(number: int) -> str:
    """File of a shard."""
    return f"shard-{number:05d}.arrow"


def shards_of(tokens: Sequence[int], most: int) -> list[list[int]]:
    """The rows of each shard: every n-th row, so that each shard is like the whole.

    Args:
        tokens: of each row.
        most: tokens of a shard, roughly.
    """
    count = max(1, -(-sum(tokens) // most))
    count = min(count, max(1, len(tokens)))
    return [list(range(start, len(tokens), count)) for start in range(count)]


def write_table(path: Path, table: pa.Table) -> None:
    """Write an Arrow file that is whole or absent, also after a loss of power.

    Raises:
        StoreError: the disk is full; what was finished stays.
    """
    temporary = path.with_name(f".{path.name}.part")
    with disk_full_said(path):
        with temporary.open("wb") as file:
            with pa.ipc.new_file(file, table.schema) as writer:
                _write(writer, table)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)


def _write(writer: pa.RecordBatchFileWriter, table: pa.Table) -> None:
    writer.write_table(table)


def read_table(path: Path) -> pa.Table:
    """An Arrow file, mapped into memory: nothing is read before it is used."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk_full_said(path: Path) -> Iterator[None]:
    """Say in words that the disk is full."""
    try:
        yield
    except OSError as error:
        path.with_name(f".{path.name}.part").unlink(missing_ok=True)
        if error.errno not in _FULL:
            raise
        raise StoreError(
            f"disk must have room for {path}, got: {os.strerror(error.errno or 0)}. Finished shards are "
            "kept: free some space and run the same command again."
        ) from None


@contextmanager
def locked(folder: Path, rank: int) -> Iterator[None]:
    """Hold the store as this rank; the system lets go when the process ends, however it ends.

    Raises:
        StoreError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".lock-{rank}").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(
                f"store must be written by one capture at a time, got {folder}, which another process is "
                "writing. Wait for it, or choose another folder."
            ) from None
        yield
