"""Several data files by one word: `data/*.jsonl`, `**/train-*.parquet`."""

import glob
from pathlib import Path

from limbeck.rows.suffixes import DATA_SUFFIXES, SOURCE_SUFFIXES, suffix_of


def is_pattern(path: str) -> bool:
    """Whether a path names files by a pattern; a file or folder that is called so is none."""
    return glob.has_magic(path) and not Path(path).expanduser().exists()


def matched(pattern: str) -> list[Path]:
    """The files that can be read among those of a pattern, sorted."""
    names = sorted(glob.glob(str(Path(pattern).expanduser()), recursive=True))  # noqa: PTH207  (absolute ones)
    return [
        Path(one)
        for one in names
        if suffix_of(Path(one)) in DATA_SUFFIXES | SOURCE_SUFFIXES and Path(one).is_file()
    ]
