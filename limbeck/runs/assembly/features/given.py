"""What features are made from, and where they are kept."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset

from limbeck.core.files import read_checked, write_checked
from limbeck.recipes.steps import Select

if TYPE_CHECKING:
    from limbeck.runs.steps.context import StepContext

_PART = 1024  # rows between two saves


@dataclass(frozen=True)
class Given:
    """A select step at work on its rows."""

    step: Select
    work: "StepContext"
    rows: Dataset

    def kept(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """An array that is made once and then read from the step's folder."""
        path = self.work.folder / "features" / f"{name}.npy"
        data = read_checked(path)
        if data is None:
            file = io.BytesIO()
            np.save(file, make(), allow_pickle=False)
            data = file.getvalue()
            write_checked(path, data)
        found: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
        return found

    def in_parts(
        self, name: str, lengths: Sequence[int], make: Callable[[Sequence[int]], np.ndarray]
    ) -> np.ndarray:
        """One row of numbers for each of the rows, long ones first, saved in parts.

        Args:
            name: of what is made.
            lengths: of the rows, by which they are put together.
            make: [b, ...] of b rows at their places; at most `batch_size` of them.
        """
        order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
        size, parts = self.step.batch_size, []
        for start in range(0, len(order), _PART):
            part = order[start : start + _PART]
            batches = [part[place : place + size] for place in range(0, len(part), size)]
            made_of = partial(_joined, make, batches)
            parts.append(self.kept(f"{name}/{start:08d}", made_of))
            self.work.advance(min(1.0, (start + _PART) / len(order)), f"reading rows: {name}")
        found = np.concatenate(parts)
        made = np.empty_like(found)
        made[order] = found
        return made


def _joined(make: Callable[[Sequence[int]], np.ndarray], batches: Sequence[Sequence[int]]) -> np.ndarray:
    return np.concatenate([make(batch) for batch in batches])
