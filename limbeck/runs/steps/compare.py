"""`compare`: evaluations of this recipe in one table, with points of figures and tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limbeck.core.errors import UserError
from limbeck.core.files import read_json, write_json, write_text
from limbeck.evaluation.comparison import Axes, Question
from limbeck.evaluation.comparison import compare as run_comparison
from limbeck.recipes.steps import Step
from limbeck.recipes.steps.compare import Compare
from limbeck.runs import ranks
from limbeck.runs.checking.planned import (
    PlannedStep,
)
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import BY_ROW, EVALUATION, StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey

VERSION = 2
"""Raised when the same step makes other comparisons: what an earlier limbeck made is then made anew."""
COMPARISON = "comparison.json"


def run(step: Compare, work: StepContext) -> StepResult:
    """Write `comparison.json` and `figures/*.svg` into the step's folder."""
    if ranks.is_main():
        places = {other.out: place for place, other in enumerate(work.earlier)}
        folders = {out: work.run.step(places[out], work.earlier[places[out]]) for out in step.evaluations}
        result = run_comparison(
            _read(folders),
            by=step.by,
            figures=[Axes(figure.x, figure.y, figure.group) for figure in step.figures],
            questions=[Question(**test.model_dump()) for test in step.tests],
        )
        write_json(work.folder / COMPARISON, result)
        _draw(result, work.folder / "figures")
    ranks.wait()
    return StepResult()


def write_comparison(run: Path, steps: Sequence[tuple[Step, Path]]) -> None:
    """`comparison.json` of the run: of the last compare step, else of all evaluations if on the same rows."""
    target = run / COMPARISON
    compared = [folder for step, folder in steps if step.makes == "comparison"]
    evaluated = {step.out: folder for step, folder in steps if step.makes == "evaluation"}
    target.unlink(missing_ok=True)
    if compared:
        write_json(target, read_json(compared[-1] / COMPARISON))
    elif len(evaluated) > 1:
        try:
            write_json(target, run_comparison(_read(evaluated), by={}))
        except UserError:
            return  # of different rows: nobody asked to compare them


def _draw(comparison: Mapping[str, Any], folder: Path) -> None:
    if comparison["figures"]:
        from limbeck.report.comparison import comparison_figures  # matplotlib takes a second to import
        from limbeck.report.drawing import standalone

        for number, figure in enumerate(comparison_figures(comparison)):
            write_text(folder / f"{number}-{figure['name']}.svg", standalone(str(figure["svg"])))


def _read(folders: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """The evaluations with their measures of single rows."""
    return {
        out: read_json(folder / EVALUATION) | {"by_row": read_json(folder / BY_ROW)}
        for out, folder in folders.items()
    }


def look(at: Look, step: Compare) -> None:
    """It reads results alone; between the steps it is checked with the recipe."""


def plan(step: Compare, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    return PlannedStep(place, step.kind, step.out, " and ".join(step.evaluations), seconds=0.0)
