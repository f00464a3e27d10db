"""What came of a step that elicits: rows, rejected rows, failures, and what they cost."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.core.errors import ConfigError, Problem, RowError
from limbeck.core.files import write_json
from limbeck.core.lineage import VERDICTS
from limbeck.recipes.steps import Elicit
from limbeck.runs.assembly.eliciting.draws import Made
from limbeck.runs.assembly.eliciting.gating import Gating
from limbeck.runs.assembly.eliciting.kept_rows import KeptRows
from limbeck.runs.assembly.eliciting.tally import Tally
from limbeck.runs.assembly.failed_draws import FailedDraws, counted
from limbeck.runs.record.folder import YIELD

ROWS, REJECTED = "rows", "rejected"


class Outcome:
    """Takes what was made, in the order of the rows, up to as many as the step wants."""

    def __init__(self, step: Elicit, folder: Path, gating: Gating, failed: FailedDraws) -> None:
        """Begin with nothing.

        Args:
            step: says how many rows.
            folder: of the step, to write into.
            gating: the step's gates.
            failed: takes draws without an answer.
        """
        self._step, self._folder, self._gating = step, folder, gating
        self._rows = KeptRows(folder / "parts" / ROWS)
        self._rejected = KeptRows(folder / "parts" / REJECTED)
        self._failed = failed
        self._judged: Counter[str] = Counter()
        self._reasons: dict[str, Counter[str]] = {}
        self._scores: dict[str, tuple[float, int]] = {}
        self.tally = Tally()
        self.draws = 0

    @property
    def accepted(self) -> int:
        """Rows to be learnt from."""
        return self._rows.count

    @property
    def candidates(self) -> int:
        """Rows that were made."""
        return self._rows.count + self._rejected.count

    @property
    def is_full(self) -> bool:
        """Whether the step has all it wants, or may have."""
        step = self._step
        return step.accept is not None and (
            self.accepted >= step.accept or self.candidates >= (step.candidates or self.candidates + 1)
        )

    async def take(self, made: Made) -> None:
        """Keep what one job made.

        Raises:
            TooManyFailures: too many draws had no answer.
        """
        self.draws += made.draws
        self.tally.plus(made.tally)
        for failure in made.failures:
            self._failed.add(**failure)
        self._failed.check(self.draws)
        for row, is_accepted in await self._gating.in_order(made.rows):
            if self.is_full:
                break
            self._count(row)
            (self._rows if is_accepted else self._rejected).add(row)

    def finish(self, judged: Tally, currency: str | None) -> dict[str, Any]:
        """Write everything; returns what `yield.json` says.

        Args:
            judged: what gates asked.
            currency: of the costs.

        Raises:
            TooManyFailures: too many draws had no answer.
            RowError: no row is accepted, or fewer than the step must have; what there is was written.
        """
        self.tally.plus(judged)
        self._rejected.finish(self._folder / REJECTED)
        self._rows.finish(self._folder / ROWS)
        (self._folder / "parts").rmdir()
        found = {
            "candidates": self.candidates,
            "accepted": self.accepted,
            "draws": self.draws,
            "failed": self._failed.reasons.total(),
            "failures": dict(sorted(self._failed.reasons.items())),
            "gates": [self._gate(name) for name in self._in_order()],
            "scores": {name: round(total / count, 6) for name, (total, count) in self._scores.items()},
            **self.tally.totals(self.accepted, currency),
        }
        write_json(self._folder / YIELD, found)
        self._failed.check(self.draws, is_last=True)
        self._refuse_too_few()
        return found

    def _in_order(self) -> list[str]:
        """Who judged: the operator, then the gates as the recipe names them."""
        order = [self._step.operator.name, *(gate.name for gate in self._step.gates)]
        return sorted(self._judged, key=lambda name: order.index(name) if name in order else len(order))

    def _gate(self, name: str) -> dict[str, Any]:
        reasons = self._reasons.get(name, Counter())
        # An operator leaves a verdict on rows that it rejects alone, and has looked at all that it made.
        is_operator = name == self._step.operator.name
        return {
            "gate": name,
            "judged": self.candidates if is_operator else self._judged[name],
            "rejected": sum(reasons.values()),
            "reasons": dict(sorted(reasons.items())),
        }

    def _count(self, row: Mapping[str, Any]) -> None:
        for verdict in json.loads(row.get(VERDICTS) or "[]"):
            self._judged[verdict["gate"]] += 1
            if verdict.get("score") is not None:
                total, count = self._scores.get(verdict["gate"], (0.0, 0))
                self._scores[verdict["gate"]] = (total + verdict["score"], count + 1)
            if not verdict["passed"]:
                self._reasons.setdefault(verdict["gate"], Counter())[verdict["reason"]] += 1

    def _refuse_too_few(self) -> None:
        step, got = self._step, self.accepted
        if got >= (step.accept or step.fewest):
            return
        refused: Counter[str] = sum(self._reasons.values(), Counter())
        why = f"; refused: {counted(refused)}" if refused else ""
        told = f"got {got:,} of {self.candidates:,} candidates in {self.draws:,} draws{why}"
        where = f"They lie in {self._folder / REJECTED}."
        if step.accept is None:
            raise RowError(f"rows that pass must be at least {step.fewest:,}, {told}. {where}")
        raise ConfigError(
            Problem(
                "accept",
                f"must be reached, {step.accept:,} rows, {told}. {where} Raise candidates, samples or "
                "attempts: what was answered is not asked again.",
            )
        )
