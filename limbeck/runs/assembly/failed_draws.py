"""Draws that have no answer: written down, counted by reason, and too many of them stop a step."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TextIO

from limbeck.core.errors import LimbeckError

FILE = "failures.jsonl"
_FEWEST = 20  # draws before a share of them is one


class TooManyFailures(LimbeckError):
    """More draws have no answer than the recipe allows."""


class FailedDraws:
    """`failures.jsonl` of a step: row_id, reason, message and key of each draw without an answer."""

    def __init__(self, folder: Path, allowed: float) -> None:
        """Args: folder: of the step; allowed: share of the draws."""
        self._path, self._allowed = folder / FILE, allowed
        self.reasons: Counter[str] = Counter()
        self._file: TextIO | None = None

    def __enter__(self) -> "FailedDraws":
        self._file = self._path.open("w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if not self.reasons and kind is None:
            self._path.unlink()

    def add(self, row_id: str, reason: str, message: str, key: str) -> None:
        """Write one down."""
        assert self._file is not None, "used inside of with"
        self.reasons[reason] += 1
        line = {"row_id": row_id, "reason": reason, "message": message, "key": key}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def check(self, draws: int, *, is_last: bool = False) -> None:
        """Refuse to go on with too many.

        Args:
            draws: that were made.
            is_last: whether there will be no more; until then a few at the beginning are no share.

        Raises:
            TooManyFailures: says which, and what helps.
        """
        failed = self.reasons.total()
        if failed <= self._allowed * (draws if is_last else max(draws, _FEWEST)):
            return
        raise TooManyFailures(
            f"draws without an answer must be at most {self._allowed:.0%}, got {failed:,} of {draws:,} "
            f"({counted(self.reasons)}); {self._path} has each. Answers are kept: the same command asks only "
            "for what is missing, and for what was refused for good with retry_failed: true in the teacher. "
            "Set failures: skip to leave such rows out."
        )

    def said(self) -> Iterator[str]:
        """A sentence, if there are any."""
        if self.reasons:
            yield f"{self.reasons.total():,} draws had no answer and were left out: {counted(self.reasons)}."


def counted(reasons: Mapping[str, int]) -> str:
    """Reasons with their numbers, the commonest first."""
    return ", ".join(f"{reason} {number:,}" for reason, number in Counter(reasons).most_common())
