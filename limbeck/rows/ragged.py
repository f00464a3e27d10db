"""Lists of different lengths as one flat array: what rendered rows are made of and read from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths: row i is `values[offsets[i] : offsets[i + 1]]`."""

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    @classmethod
    def of_column(cls, rows: "Dataset", name: str) -> "Ragged":
        """A list column of a dataset, in the dataset's order."""
        column = rows.select_columns(name).with_format("arrow")[:][name].combine_chunks()
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        offsets = column.offsets.to_numpy().astype(np.int64)
        values = column.values.slice(offsets[0], offsets[-1] - offsets[0]).to_numpy(zero_copy_only=False)
        return cls(values, offsets - offsets[0])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[rows] entries of each row."""
        return np.diff(self.offsets)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]


def list_column(arrays: Sequence[NDArray[Any]], dtype: DTypeLike = np.int32) -> pa.ListArray:
    """An Arrow list column from one array a row, copied once."""
    offsets = np.zeros(len(arrays) + 1, dtype=np.int32)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    flat = np.concatenate(arrays) if arrays else np.zeros(0)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat.astype(dtype, copy=False)))
