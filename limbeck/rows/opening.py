"""Opening data files: decompressed, and decoded as their byte order mark or the user says."""

import bz2
import codecs
import gzip
import io
import lzma
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from limbeck.core.errors import ConfigError, Problem, RowError
from limbeck.rows.suffixes import compression_of

_OPENERS: Mapping[str, Callable[[str], Any]] = {
    ".bz2": bz2.BZ2File,
    ".gz": gzip.GzipFile,
    ".xz": lzma.LZMAFile,
    ".zst": lambda path: io.BufferedReader(pa.input_stream(path, compression="zstd")),
}
# Longer marks first: UTF-32's begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def open_bytes(path: Path) -> BinaryIO:
    """The bytes of a file, decompressed as its name says."""
    compression = compression_of(path)
    return _OPENERS[compression](str(path)) if compression else path.open("rb")


def open_text(path: Path, encoding: str | None = None) -> io.TextIOWrapper:
    """The text of a file with its line ends as they are.

    Args:
        path: of the file.
        encoding: as Python calls it; None: that of the byte order mark, else UTF-8.

    Raises:
        ConfigError: an encoding that Python does not know.
        RowError: zero bytes at the beginning, and no byte order mark.
    """
    if encoding is None:
        with open_bytes(path) as stream:
            start = stream.read(4)
        encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
        if encoding == "utf-8" and b"\0" in start:
            raise RowError(
                f"{path}: must be UTF-8 text, got zero bytes; it looks like UTF-16 without a byte order mark."
                " Set encoding: utf-16-le in the load step, or convert the file."
            )
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        message = f"must be an encoding that Python knows, got '{encoding}'. Write latin-1 or utf-16."
        raise ConfigError(Problem("encoding", message)) from error
    return io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="")


def undecodable(path: Path, encoding: str | None) -> RowError:
    """What is wrong with a file that `open_text` cannot decode: the line, the byte, and what to set."""
    name = encoding or "UTF-8"
    line, byte = _first_wrong(path, encoding or "utf-8")
    return RowError(
        f"{path}:{line}: must be {name} text, got the byte 0x{byte:02x}. "
        + (
            "Set encoding: latin-1 in the load step if it comes from an old Windows or Western European "
            "system, or convert the file."
            if encoding is None
            else "Set another encoding in the load step, or convert the file."
        )
    )


def _first_wrong(path: Path, encoding: str) -> tuple[int, int]:
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                return number, line[error.start]
    return 0, 0
