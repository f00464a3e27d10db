"""What was written since the last checkpoint, on disk: a killed step does not write it again."""

import io
from collections.abc import Sequence
from pathlib import Path

import torch

from limbeck.core.files import read_checked, write_checked
from limbeck.rollouts.rollout import Rollout


class Journal:
    """A folder with one file for each part of each step's rollouts, whole or absent.

    A resumed training comes to the same weights, so what was written from them still holds.

    Args:
        folder: of one rank.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, step: int, part: int, asked: Sequence[Rollout]) -> list[Rollout] | None:
        """What was kept; None without, if it is damaged, or if it was written for other rows than asked for.

        The last happens to a training that starts again with another number of ranks.
        """
        data = read_checked(self._path(step, part))
        if data is None:
            return None
        kept = [Rollout(**fields) for fields in torch.load(io.BytesIO(data), weights_only=True)]
        return kept if [one.row_id for one in kept] == [one.row_id for one in asked] else None

    def keep(self, step: int, part: int, written: Sequence[Rollout]) -> None:
        """Keep one part."""
        data = io.BytesIO()
        torch.save([{**vars(one), "numbers": dict(one.numbers)} for one in written], data)
        write_checked(self._path(step, part), data.getvalue())

    def forget_before(self, step: int) -> None:
        """Drop what no resumed training can ask for."""
        for path in self._folder.glob("*-*.pt"):
            if int(path.name.split("-")[0]) < step:
                path.unlink()

    def _path(self, step: int, part: int) -> Path:
        return self._folder / f"{step:08d}-{part:04d}.pt"
