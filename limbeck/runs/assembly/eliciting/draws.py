"""Draws of one row: the operator is called with it, again where no gate lets a row through."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from limbeck.core.asking import Ask, Reply, Request, RequestFailed
from limbeck.core.lineage import ID, SAMPLE, TEACHER, TERMS, is_rejected
from limbeck.gates.judging import Judging
from limbeck.recipes.steps import Elicit
from limbeck.runs.assembly.eliciting.tally import Tally

Row = Mapping[str, Any]

_STRIDE = 1_000
"""Samples that an operator may number by itself within one draw."""


@dataclass(frozen=True)
class Job:
    """A row that is drawn from, the number of the first draw, and how many draws there are at most."""

    row: Row
    first: int
    most: int


@dataclass
class Made:
    """What came of a job.

    Attributes:
        rows: that were made, each with whether it may be learnt from so far.
        failures: of draws without an answer: row_id, reason, message, key.
        draws: that were made.
        tally: of all answers.
    """

    rows: list[tuple[dict[str, Any], bool]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    draws: int = 0
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class Counted:
    """An `Ask` for one draw: its samples are its own, and its answers are counted."""

    ask: Ask
    draw: int
    seed: int
    tally: Tally

    async def __call__(self, request: Request) -> Reply:
        """The answer to the request of this draw."""
        assert 0 <= request.sample < _STRIDE, f"a draw has at most {_STRIDE} samples"
        reply = await self.ask(
            replace(
                request,
                sample=self.draw * _STRIDE + request.sample,
                seed=self.seed if request.seed is None else request.seed,
            )
        )
        self.tally.add(reply)
        return reply


@dataclass(frozen=True)
class Drawing:
    """A step's operator, teachers and gates, at work on one row at a time.

    Attributes:
        step: says how often is drawn.
        asks: teachers by the operator's names for them.
        judging: gates that look at the rows of one job; None where there are none.
    """

    step: Elicit
    asks: Mapping[str, Ask]
    judging: Judging | None

    async def __call__(self, job: Job) -> Made:
        """Draw until enough draws pass, at most as often as the job allows."""
        made, passed = Made(), 0
        while passed < self.step.draws and made.draws < job.most:
            size = min(self.step.draws - passed, job.most - made.draws)
            first = job.first + made.draws
            drawn = await asyncio.gather(*(self._draw(job.row, first + k, made) for k in range(size)))
            made.draws += size
            found = await self._judged(job.row, [row for rows in drawn for row in rows], made)
            made.rows += found
            ends = iter([ok for _, ok in found])
            passed += sum(any(list(islice(ends, len(rows)))) for rows in drawn)
        return made

    async def pooled(self, rows: Sequence[Row]) -> Made:
        """What the operator makes of all rows together; nothing else can go on without an answer."""
        made = Made(draws=1)
        found = await self._called(rows, 0, made.tally)
        made.rows += await self._judged({}, found, made)
        return made

    async def _draw(self, row: Row, draw: int, made: Made) -> list[dict[str, Any]]:
        try:
            rows = await self._called(row, draw, made.tally)
        except RequestFailed as failed:
            made.failures.append(_failure(row, failed))
            return []
        return rows if not draw else [{**one, ID: f"{one[ID]}~{draw}"} for one in rows]

    async def _called(self, given: Any, draw: int, tally: Tally) -> list[dict[str, Any]]:
        step = self.step
        operator: Callable[..., Awaitable[list[dict[str, Any]]]] = step.operator.entry.load()
        asks = {name: Counted(self.asks[name], draw, step.seed, tally) for name in step.asked_by_operator}
        rows = await operator(given, **asks, **step.settings_of_operator)
        usual = step.operator.entry.keywords.get("samples", 1)
        own = int(step.settings_of_operator.get("samples", usual))
        return [
            {
                **row,
                SAMPLE: draw * own + int(row.get(SAMPLE) or 0),
                TEACHER: step.teacher.called,
                TERMS: getattr(step.teacher, "terms", None),
            }
            for row in rows
        ]

    async def _judged(
        self, given: Row, rows: Sequence[dict[str, Any]], made: Made
    ) -> list[tuple[dict[str, Any], bool]]:
        """Rows with the verdicts of gates; what the operator itself rejects is not shown to them."""
        if self.judging is None:
            return [(row, not is_rejected(row)) for row in rows]
        try:
            judged = iter(await self.judging.judged([row for row in rows if not is_rejected(row)]))
        except RequestFailed as failed:
            made.failures.append(_failure(given, failed))
            return []
        found = []
        for row in rows:
            if is_rejected(row):
                found.append((row, False))
            else:
                one = next(judged)
                found.append((one.row, one.accepted))
        return found


def _failure(row: Row, failed: RequestFailed) -> dict[str, Any]:
    """A draw without an answer, as `failures.jsonl` keeps it."""
    one = failed.failure
    return {"row_id": str(row.get(ID, "")), "reason": one.reason, "message": one.message, "key": one.key}
