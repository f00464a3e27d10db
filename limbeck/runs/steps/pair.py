"""`pair`: better and worse answers to one question, side by side."""

from collections import Counter
from typing import Any

from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem, RowError
from limbeck.core.lookup import did_you_mean
from limbeck.recipes.steps import Pair
from limbeck.rows.pairing import pairs_against, pairs_by_score
from limbeck.runs import ranks
from limbeck.runs.checking.planned import PlannedStep, notes_of_step
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey

VERSION = 1
"""Raised when the same step makes other rows: what an earlier limbeck made is then made anew."""

_WHY = {
    "one_answer": "with one answer",
    "all_equal": "whose answers have one score",
    "no_worse_answer": "without a worse answer",
}


def run(step: Pair, work: StepContext) -> StepResult:
    """Write `rows/` into the step's folder."""
    made = _pair(step, work) if ranks.is_main() else StepResult()
    ranks.wait()
    return made


def _pair(step: Pair, work: StepContext) -> StepResult:
    rows, left = work.rows(step.rows), Counter[str]()
    how: dict[str, Any] = {"most": step.most, "seed": step.seed, "left": left}
    if step.score is not None:
        made = list(pairs_by_score(rows, step.score, rejects=step.rejects, **how))
    else:
        made = list(pairs_against(rows, work.rows(str(step.against)), **how))
    said = [f"{count:,} questions {_WHY[why]} were left out" for why, count in sorted(left.items())]
    if not made:
        raise RowError(f"at least one question must have a better and a worse answer: {'; '.join(said)}.")
    Dataset.from_list(made).save_to_disk(str(work.folder / "rows"))
    return StepResult(notes=(f"{len(made):,} pairs.", *(f"{one}." for one in said)))


def look(at: Look, step: Pair) -> None:
    """Refuse a column that is not there."""
    if step.score is None or step.rows not in at.rows:
        return
    columns = at.rows[step.rows].column_names
    if step.score not in columns:
        message = f"must be a column of {step.rows}, got '{step.score}'.{did_you_mean(step.score, columns)}"
        at.seen.problems.note(ConfigError(Problem("score", message)), at.where)


def plan(step: Pair, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """How many pairs there are is known when the answers are."""
    what = f"pairs answers of {step.rows}"
    return PlannedStep(place, step.kind, step.out, what, seconds=0.0, notes=notes_of_step(place, seen))
