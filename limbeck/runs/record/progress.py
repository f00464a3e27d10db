"""What a run tells while it works; the command line draws it, Python prints lines."""

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from limbeck.engine import StepReport
    from limbeck.runs.checking.plan import Plan

_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class StepPosition:
    """Where a run is: the step at `place` (from 0, as in paths and folders) of `total`, and what it makes."""

    place: int
    total: int
    kind: str
    out: str

    def __str__(self) -> str:
        return f"{self.place} {self.kind} {self.out}"


class Progress(Protocol):
    """Told what happens; every call returns at once."""

    def planned(self, plan: "Plan") -> None:
        """Everything was checked; work begins."""

    def begun(self, stage: StepPosition) -> None:
        """A step begins, or goes on."""

    def reused(self, stage: StepPosition) -> None:
        """A finished step is taken as it is."""

    def advanced(self, stage: StepPosition, share: float, what: str = "") -> None:
        """So much of a step is done."""

    def trained(self, stage: StepPosition, report: "StepReport") -> None:
        """One optimizer step is done."""

    def finished(self, stage: StepPosition, seconds: float) -> None:
        """A step is done."""


class Silent:
    """Says nothing."""

    def planned(self, plan: "Plan") -> None:
        """Nothing."""

    def begun(self, stage: StepPosition) -> None:
        """Nothing."""

    def reused(self, stage: StepPosition) -> None:
        """Nothing."""

    def advanced(self, stage: StepPosition, share: float, what: str = "") -> None:
        """Nothing."""

    def trained(self, stage: StepPosition, report: "StepReport") -> None:
        """Nothing."""

    def finished(self, stage: StepPosition, seconds: float) -> None:
        """Nothing."""


class Lines(Silent):
    """Plain lines, at most one in ten seconds while a step works: for logs and notebooks."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file or sys.stderr
        self._last = 0.0

    def begun(self, stage: StepPosition) -> None:
        """Name the step."""
        self._say(f"step {stage} ...")
        self._last = time.monotonic()

    def reused(self, stage: StepPosition) -> None:
        """Say so."""
        self._say(f"step {stage}: reused")

    def advanced(self, stage: StepPosition, share: float, what: str = "") -> None:
        """Now and then."""
        if self._is_due():
            self._say(f"step {stage}: {what + ' ' if what else ''}{share:.0%}")

    def trained(self, stage: StepPosition, report: "StepReport") -> None:
        """Now and then."""
        if self._is_due():
            self._say(
                f"step {stage}: {report.step}/{report.total_steps}, loss {report.loss:.4f}, "
                f"{report.tokens_per_second:,.0f} tokens/s"
            )

    def finished(self, stage: StepPosition, seconds: float) -> None:
        """With the time it took."""
        self._say(f"step {stage}: done in {seconds:.1f} s")

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return False
        self._last = now
        return True

    def _say(self, text: str) -> None:
        print(text, file=self._file, flush=True)
