"""`elicit`: an operator makes rows by asking a teacher, and gates let them through as they come."""

import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from itertools import count
from typing import Any, cast

from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lineage import ID
from limbeck.core.prompting import prompt_problems
from limbeck.core.seeds import generator
from limbeck.endpoint import Mapped
from limbeck.endpoint.mapping import ordered
from limbeck.recipes.steps import Elicit
from limbeck.recipes.steps.elicit import ASK, JUDGE
from limbeck.runs import ranks
from limbeck.runs.assembly.asking import Asked, finished, open_asks
from limbeck.runs.assembly.eliciting.demand import Demand
from limbeck.runs.assembly.eliciting.draws import Counted, Drawing, Job, Made
from limbeck.runs.assembly.eliciting.gating import Gating
from limbeck.runs.assembly.eliciting.outcome import Outcome
from limbeck.runs.assembly.eliciting.rehearsal import rehearse
from limbeck.runs.assembly.eliciting.tally import Tally
from limbeck.runs.assembly.failed_draws import FailedDraws
from limbeck.runs.assembly.teachers import ASKED_TEACHERS
from limbeck.runs.checking.planned import PlannedStep, notes_of_step, read_bytes
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey

VERSION = 1
"""Raised when the same step makes other rows: what an earlier limbeck made is then made anew."""

_TRIED = 32  # rows of which the plan makes requests
_AT_ONCE, _AHEAD = 2, 16
"""Jobs for each call that may be under way: worked on, and begun while an earlier one is waited for."""
_MOST_AHEAD = 1 << 16  # jobs that are begun: what each made is kept until those before it are done


def run(step: Elicit, work: StepContext) -> StepResult:
    """Write `rows/`, `rejected/`, `failures.jsonl` and `yield.json` into the step's folder.

    After a kill everything is made again: what was answered is kept, so that costs time alone.
    """
    made = finished(_elicit(step, work)) if ranks.is_main() else StepResult()
    ranks.wait()
    return made


async def _elicit(step: Elicit, work: StepContext) -> StepResult:
    rows = work.rows(step.rows) if step.rows else None
    async with open_asks(step.asked, work) as asked:
        judged = Tally()
        gating = Gating(step.called, Counted(asked.get(JUDGE, asked[ASK]), 0, step.seed, judged))
        drawing = Drawing(step, asked, gating.beside)
        with FailedDraws(work.folder, step.failures) as failed:
            outcome = Outcome(step, work.folder, gating, failed)
            if step.pools:
                pool = [] if rows is None else [rows[place] for place in _places(step, rows)]
                await outcome.take(await drawing.pooled(pool))
            else:
                await _row_by_row(step, work, rows, drawing, outcome, asked[ASK])
            found = outcome.finish(judged, asked[ASK].currency)
            fitted = [said for one in asked.values() for said in one.engine.fitting.said()]
            notes = (*_notes(found), *dict.fromkeys(fitted), *failed.said())
    return StepResult(tokens=found["tokens_out"], notes=notes)


async def _row_by_row(
    step: Elicit, work: StepContext, rows: Dataset | None, drawing: Drawing, outcome: Outcome, asked: Asked
) -> None:
    progress = _Progress(work, outcome, jobs=_size(step, rows), accept=step.accept)
    demand = Demand(step, outcome)
    workers = _AT_ONCE * asked.workers
    ahead = max(workers, min(_AHEAD * workers, _MOST_AHEAD))
    results = ordered(demand.jobs(_jobs(step, rows)), drawing, workers=workers, ahead=ahead)
    async with aclosing(cast(AsyncGenerator[Mapped[Job, Made], None], results)) as found:
        async for one in found:
            assert one.value is not None, "a draw without an answer is part of what was made"
            await outcome.take(one.value)
            demand.took()
            progress.tell()
            if outcome.is_full:
                return


def _jobs(step: Elicit, rows: Dataset | None) -> Iterator[Job]:
    """Rows to draw from, one after another; again from the front where more candidates may be made."""
    most = max(step.attempts or step.draws, step.draws)
    places, size = None if rows is None else _places(step, rows), _size(step, rows)
    left = step.candidates or size * most
    for turn in count():
        for place in range(size):
            if left <= 0:
                return
            row = {ID: str(place)} if places is None or rows is None else rows[places[place]]
            yield Job(row, turn * most, min(most, left))
            left -= most


def _size(step: Elicit, rows: Dataset | None) -> int:
    """Rows that are gone through once."""
    if rows is None:
        return step.limit or step.candidates or 0
    return len(rows) if step.limit is None else min(step.limit, len(rows))


def _places(step: Elicit, rows: Dataset) -> list[int]:
    if step.limit is None or step.limit >= len(rows):
        return list(range(len(rows)))
    return sorted(generator(step.seed, "prompts").permutation(len(rows))[: step.limit].tolist())


class _Progress:
    """Tells how much is done, at what speed and price."""

    def __init__(self, work: StepContext, outcome: Outcome, *, jobs: int, accept: int | None) -> None:
        self._work, self._outcome = work, outcome
        self._jobs, self._accept = jobs, accept
        self._done, self._started = 0, time.monotonic()

    def tell(self) -> None:
        """Another job is done."""
        self._done += 1
        of = self._outcome
        share = of.accepted / self._accept if self._accept else self._done / max(self._jobs, 1)
        seconds = max(time.monotonic() - self._started, 1e-3)
        words = f"{of.accepted:,} rows, {of.tally.calls:,} calls, {of.tally.tokens_out / seconds:,.0f} tok/s"
        cost = f", {of.tally.spent:.2f}" if of.tally.spent else ""
        self._work.advance(min(share, 1.0), words + cost)


def _notes(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{found['accepted']:,} of {found['candidates']:,} candidates accepted; {found['calls']:,} calls "
        f"({found['cached']:,} kept already), {found['tokens_in']:,} tokens read, "
        f"{found['tokens_out']:,} written."
    )
    for gate in found["gates"]:
        if gate["rejected"]:
            reasons = ", ".join(f"{reason} {number:,}" for reason, number in gate["reasons"].items())
            yield f"{gate['gate']} refused {gate['rejected']:,} of {gate['judged']:,}: {reasons}."
    if found["cost_per_accepted"] is not None and found["currency"]:
        yield (
            f"It cost {found['cost']} {found['currency']}, {found['cost_per_accepted']} an accepted row; "
            f"{found['spent']} of it were spent in this run."
        )


def look(at: Look, step: Elicit) -> None:
    """Refuse teachers that cannot be asked and prompts that cannot be filled; say what asking will cost."""
    known = len(at.seen.problems.found)
    for name, teacher in step.asked.items():
        with at.at():
            ASKED_TEACHERS[type(teacher)].check_asked(at, teacher, _path_of(name))
    rows = at.rows.get(step.rows) if step.rows else None
    if len(at.seen.problems.found) > known:
        return
    if step.rows and rows is None:
        at.note(f"How much is asked is known when {step.rows} is made; a budget of the teacher bounds it.")
        return
    _check_prompts(step, rows)
    size = _size(step, rows)
    tried = _first(step, rows)
    found = rehearse(step, tried)
    if found.problems:
        raise ConfigError(found.problems)
    jobs = 1 if step.pools else size
    for name, teacher in step.asked.items():
        way = ASKED_TEACHERS[type(teacher)]
        requests = [way.request_of(teacher, one) for one in found.requests[name]]
        if requests:
            with at.at():
                way.check_requests(at, teacher, requests, _path_of(name))
            at.note(*way.said_of_cost(at, teacher, requests, found.calls(name, jobs) * step.draws))
    at.note(*_said_of_amounts(step, size))
    at.seen.entries[at.place] = (size, 0)


def _path_of(name: str) -> str:
    """Where a teacher stands in the step."""
    return "teacher" if name == ASK else f"teachers.{name}"


def plan(step: Elicit, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers; how long a server takes is not known."""
    local = [word for teacher in step.asked.values() for word in teacher.models.values()]
    sizes = [seen.models[word].parameters for word in local if word in seen.models]
    of = f" from {step.rows}" if step.rows else ""
    return PlannedStep(
        place,
        step.kind,
        step.out,
        f"{step.teacher.called} makes rows{of} by the operator {step.operator.name}",
        rows=seen.entries.get(place, (0, 0))[0],
        teacher_parameters=sum(sizes) or None,
        memory=read_bytes(local, seen),
        notes=notes_of_step(place, seen),
    )


def _check_prompts(step: Elicit, rows: Dataset | None) -> None:
    """Templates that ask for columns that the rows do not have."""
    columns = [ID] if rows is None else rows.column_names
    operator = step.operator.entry.load()
    problems = [
        Problem(f"operator.{one.where}" if one.where.isidentifier() else one.where, one.message)
        for one in prompt_problems(operator, step.settings_of_operator, columns)
    ]
    if problems:
        raise ConfigError(problems)


def _first(step: Elicit, rows: Dataset | None) -> list[dict[str, Any]]:
    """The rows that a plan tries."""
    if rows is None:
        return [] if step.pools else [{ID: "0"}]
    return [rows[place] for place in _places(step, rows)[:_TRIED]]


def _said_of_amounts(step: Elicit, size: int) -> Iterator[str]:
    if step.accept is not None and not step.pools:
        most = step.candidates or size * max(step.attempts or step.draws, step.draws)
        yield f"Stops at {step.accept:,} accepted rows, after at most {most:,} draws."
    elif step.attempts is not None and step.attempts > step.draws:
        yield f"Up to {step.attempts} draws of a row until gates accept: at most so many times the calls."
    if step.asking_gates:
        judge = step.asked.get(JUDGE, step.teacher)
        named = ", ".join(step.asking_gates)
        yield f"{named} asks {judge.called} about every row that the operator made and could read."
    if step.gates:
        named = ", ".join(one.name for one in step.gates)
        yield f"Gates: {named}. Rows that they refuse are kept apart, with the reason."
