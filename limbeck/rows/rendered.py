"""Rendered rows in flat arrays: what batches are cut from."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from limbeck.rows.ragged import Ragged

if TYPE_CHECKING:
    from datasets import Dataset


class RenderedRows:
    """Columns of the rows of `rows.render.render`, lists as `Ragged` and numbers as arrays.

    Args:
        rendered: the rows.
        lists: columns with a list in each row; those that are not there are left out.
        numbers: columns with a number in each row, likewise.
    """

    def __init__(self, rendered: "Dataset", *, lists: Iterable[str], numbers: Iterable[str]) -> None:
        there = rendered.column_names
        self.row_ids: list[str] = list(rendered["row_id"])
        self.lists = {name: Ragged.of_column(rendered, name) for name in lists if name in there}
        self.numbers = {name: np.asarray(rendered[name]) for name in numbers if name in there}
        self.lengths: list[int] = self.lists["input_ids"].lengths.tolist()

    def __len__(self) -> int:
        return len(self.row_ids)

    def digests(self) -> list[str]:
        """Equal for equal columns."""
        arrays = [array for ragged in self.lists.values() for array in (ragged.values, ragged.offsets)]
        arrays += self.numbers.values()
        return [hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for array in arrays]

    def padded(
        self, name: str, indices: Sequence[int], fill: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A list column of some rows [B, T], filled up on the right, and the lengths [B]."""
        rows = [self.lists[name][index] for index in indices]
        lengths = np.asarray([len(row) for row in rows], dtype=np.int64)
        padded = np.full((len(rows), int(lengths.max(initial=0))), fill, dtype=np.int64)
        for target, row in zip(padded, rows, strict=True):
            target[: len(row)] = row
        return padded, lengths
