"""A held-out part that depends on what rows say, not on the order they come in."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from limbeck.core.errors import ConfigError

_NOT_CONTENT = frozenset({"id", "heldout"})


def split_rows(rows: Dataset, heldout: float | int, seed: int) -> tuple[Dataset, Dataset]:
    """The rows to learn from and the held-out rows, each in the order of `rows`.

    Rows are ranked by a hash of seed and content (every column but `id`); the first are held out.
    Identical rows are always on one side: where a group of them would overshoot the number, it is
    learnt from and the next in rank is taken. A column `heldout` of the data decides alone.

    Args:
        rows: any rows.
        heldout: a fraction in [0, 1) of the rows, rounded up, or a number of rows.
        seed: another seed holds out other rows.

    Raises:
        ConfigError: `heldout` is negative or leaves nothing to learn from.
    """
    if "heldout" in rows.column_names:
        marks = np.asarray([bool(mark) for mark in rows["heldout"]], dtype=np.bool_)
        return _parts(rows.remove_columns("heldout"), marks)
    count = _count(heldout, len(rows))
    groups: dict[bytes, list[int]] = {}
    if count:
        for index, row in enumerate(rows):
            groups.setdefault(_rank(row, seed), []).append(index)
    marks = np.zeros(len(rows), dtype=np.bool_)
    for rank in sorted(groups):
        if len(groups[rank]) <= count:
            marks[groups[rank]] = True
            count -= len(groups[rank])
        if count == 0:
            break
    return _parts(rows, marks)


def _count(heldout: float | int, rows: int) -> int:
    is_count = isinstance(heldout, int)
    if not (0 <= heldout < (max(rows, 1) if is_count else 1)):
        raise ConfigError(
            f"heldout must be a fraction in [0, 1) or a number of rows below the {rows} there are, "
            f"got {heldout}. Leave some rows to learn from."
        )
    # The fraction as written: 0.1 * 30 is 3.0000000000000004 and must give 3.
    return int(heldout) if is_count else math.ceil(round(heldout * rows, 6))


def _rank(row: Mapping[str, Any], seed: int) -> bytes:
    content = {name: value for name, value in row.items() if name not in _NOT_CONTENT}
    text = json.dumps([seed, content], sort_keys=True, ensure_ascii=False, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _parts(rows: Dataset, is_heldout: "np.ndarray[Any, np.dtype[np.bool_]]") -> tuple[Dataset, Dataset]:
    return rows.select(np.flatnonzero(~is_heldout)), rows.select(np.flatnonzero(is_heldout))
