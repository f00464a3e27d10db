"""Runs the steps of a recipe in order: a finished one is reused, an unfinished one goes on."""

import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from datasets import Dataset

from limbeck.core.asking import Paused
from limbeck.core.errors import Interrupted
from limbeck.core.files import write_text
from limbeck.core.storage import storage_said
from limbeck.engine.interruption import stopping
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Step
from limbeck.rows.read import quiet
from limbeck.runs import ranks
from limbeck.runs.assembly.sources import Renderer
from limbeck.runs.record.curves import write_validation
from limbeck.runs.record.fingerprints import StepFingerprint
from limbeck.runs.record.folder import YIELD, RunFolder, StepRecord
from limbeck.runs.record.progress import Progress, StepPosition
from limbeck.runs.record.versions import METRICS, STUDENT, copy_student, merge_metrics, write_versions
from limbeck.runs.steps import module_of
from limbeck.runs.steps.compare import write_comparison
from limbeck.runs.steps.context import EVALUATION, MODEL, StepContext

_WORKING = ".working"  # there from the first step that works until the run is whole


def execute(
    recipe: Recipe,
    run: RunFolder,
    marks: list[StepFingerprint],
    *,
    rows: Mapping[str, Dataset],
    progress: Progress,
    renderer: Renderer | None = None,
    planned: Sequence[float | None] = (),
) -> None:
    """Bring every step to its end, then write what belongs to the whole run.

    `planned`: seconds of each step by the plan, for the report.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the same call goes on where it stopped.
    """
    worked, renderer = False, renderer or Renderer()
    with _interruptible(), storage_said(run.path), quiet():
        for place, (step, mark) in enumerate(zip(recipe.steps, marks, strict=True)):
            stage = StepPosition(place, len(recipe.steps), step.kind, step.out)
            if run.check_step(place, step, mark, overwrite=True):
                if ranks.is_main():
                    run.tidy(place, step)
                    progress.reused(stage)
                continue
            if not worked and ranks.is_main():
                _start_work(recipe, run, place)
            worked = True
            folder = run.step(place, step)
            _work(
                place,
                step,
                mark,
                StepContext(recipe, place, run, folder, progress, stage, rows, renderer),
                planned[place] if planned else None,
            )
        if ranks.is_main() and (worked or not _is_complete(recipe, run)):
            _complete(recipe, run)
            (run.path / _WORKING).unlink(missing_ok=True)
        ranks.wait()


def _start_work(recipe: Recipe, run: RunFolder, place: int) -> None:
    """Before the first step that is not finished, which may read what the earlier ones made."""
    for number, step in enumerate(recipe.steps[:place]):
        run.check_made(number, step)
    # What lies at the top is of an earlier recipe, or absent, until all steps are done.
    write_text(run.path / _WORKING, "")
    write_versions(run.path, recipe)


def _work(place: int, step: Step, mark: StepFingerprint, work: StepContext, planned: float | None) -> None:
    if ranks.is_main():
        work.run.go_on()
        work.run.begin(place, step, mark)
        work.progress.begun(work.stage)
    ranks.wait()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    try:
        made = module_of(step).run(step, work)
    except Paused as paused:
        if ranks.is_main():
            work.run.pause(place, step, why=paused.why, message=str(paused))
        raise
    seconds = time.perf_counter() - started if made.seconds is None else made.seconds
    if ranks.is_main():
        done = StepRecord(
            mark.value,
            mark.reads,
            step.kind,
            step.out,
            round(seconds, 3),
            made.tokens,
            made.notes,
            step.sentence(),
            planned=None if planned is None else round(planned, 1),
            peak_memory=_peak_memory(),
            example=made.example,
        )
        work.run.finish(place, step, done)
        work.run.tidy(place, step)
        work.progress.finished(work.stage, seconds)
    ranks.wait()


def _peak_memory() -> int:
    """Bytes at most: on a GPU of this step, else of the process so far."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)  # macOS counts bytes, Linux KiB


def _complete(recipe: Recipe, run: RunFolder) -> None:
    """The last model, the last evaluation, all evaluations compared, merged metrics, and the report."""
    steps = [(step, run.step(place, step)) for place, step in enumerate(recipe.steps)]
    merge_metrics(run.path, steps)
    write_validation(run.path, run.path / METRICS)
    made = [folder for step, folder in steps if step.makes == "model"]
    if made:
        copy_student(run.path, made[-1] / MODEL)
    evaluated = [folder for step, folder in steps if step.makes == "evaluation"]
    if evaluated:
        write_text(run.path / EVALUATION, (evaluated[-1] / EVALUATION).read_text(encoding="utf-8"))
        write_comparison(run.path, steps)
    if evaluated or any((folder / YIELD).is_file() for _, folder in steps):
        write_report(run)


def write_report(run: RunFolder) -> None:
    """`report.html` and the model card, from what lies in the run folder."""
    from limbeck.report.build import build_report  # matplotlib takes a second to import

    build_report(run.path)


def _is_complete(recipe: Recipe, run: RunFolder) -> bool:
    made = {step.makes for step in recipe.steps}
    wanted = [run.path / STUDENT] if "model" in made else []
    wanted += [run.path / EVALUATION, run.path / "report.html"] if "evaluation" in made else []
    return all(path.exists() for path in wanted) and not (run.path / _WORKING).exists()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP all end as `Interrupted`."""

    def stop() -> None:
        raise KeyboardInterrupt

    try:
        with stopping(stop):
            yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted; finished steps and the state of this one are kept.") from None
