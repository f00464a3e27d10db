"""Names of data files: what a file holds, and how it is compressed, by the end of its name."""

from pathlib import Path

DATA_SUFFIXES = frozenset({".arrow", ".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv", ".txt"})
"""Of data files (`rows.formats.READERS`), in small letters."""

SOURCE_SUFFIXES = frozenset({".py", ".txt", ".md"})
"""Of documents, a file a row."""

COMPRESSED = frozenset({".bz2", ".gz", ".xz", ".zst"})
"""Behind the suffix of a data file."""


def suffix_of(path: Path) -> str:
    """What a file holds: `.jsonl` for `rows.JSONL` and for `rows.jsonl.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def compression_of(path: Path) -> str:
    """`.gz` for `rows.jsonl.gz`; empty for a file that is not compressed."""
    suffix = path.suffix.lower()
    return suffix if suffix in COMPRESSED else ""


def is_data(path: Path) -> bool:
    """Whether the name is one of a data file."""
    return suffix_of(path) in DATA_SUFFIXES
