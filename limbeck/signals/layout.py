"""The files of a store: their names, their atomic appearance, and who may write them."""

import fcntl
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from limbeck.core.errors import Problem, StoreError
from limbeck.core.files import beside

CODEBOOK, HEAD, TOKENIZER = "codebook.arrow", "head.safetensors", "tokenizer"
CHECKSUM = b"limbeck_sha256"
"""In the metadata of every Arrow file of a store: `checksum_of` its table."""


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
    """Write an Arrow file that is whole or absent, also after a loss of power; it carries its own checksum.

    Raises:
        ResourceError: the disk is full; what was finished stays.
    """
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), CHECKSUM: checksum_of(table)})
    with (
        beside(path) as temporary,
        temporary.open("wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        _write(writer, table)


def _write(writer: pa.RecordBatchFileWriter, table: pa.Table) -> None:
    writer.write_table(table)


def read_table(path: Path, *, verify: bool = False) -> pa.Table:
    """An Arrow file, mapped into memory: nothing is read before it is used.

    Args:
        path: of the file.
        verify: compare it with the checksum that it carries.

    Raises:
        StoreError: it is cut off or damaged.
    """
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        is_whole = not verify or (table.schema.metadata or {}).get(CHECKSUM) == checksum_of(table)
    except (pa.ArrowException, OSError, ValueError) as error:
        why = str(error).split("\n")[0]
        raise StoreError(
            Problem(str(path), f"must be a file of a store, got one that cannot be read: {why}.")
        ) from None
    if not is_whole:
        raise StoreError(
            Problem(str(path), "must have the checksum that it carries, got another: its bytes changed.")
        )
    return table


def checksum_of(table: pa.Table) -> bytes:
    """SHA-256 of the values of a table, in hex; not of its metadata."""
    plain = table.replace_schema_metadata(None).combine_chunks()
    digest = hashlib.sha256(str(plain.schema).encode())
    for batch in plain.to_batches():
        digest.update(batch.serialize())
    return digest.hexdigest().encode()


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
