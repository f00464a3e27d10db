"""`limbeck.run`: resolve, check everything, then work."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.errors import UserError
from limbeck.core.files import read_json
from limbeck.core.storage import storage_said
from limbeck.core.template import dated
from limbeck.recipes.model import Recipe
from limbeck.runs import ranks
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.checking.preflight import Preflight
from limbeck.runs.execute import execute
from limbeck.runs.given import named
from limbeck.runs.record.fingerprints import StepFingerprint, fingerprint_steps
from limbeck.runs.record.folder import YIELD, RunFolder
from limbeck.runs.record.progress import Lines, Progress, Silent
from limbeck.runs.resolve import resolve


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where everything lies.
        recipe: as it was resolved.
    """

    folder: Path
    recipe: Recipe

    def __repr__(self) -> str:
        done = ", ".join(path.name for path in (self.student, self.report) if path.exists())
        return f"Run({str(self.folder)!r}, recipe {self.recipe.name}: {done or 'nothing finished'})"

    @property
    def student(self) -> Path:
        """The last model that a step made, as a rule the student: `AutoModel*.from_pretrained` takes it."""
        return self.folder / "student"

    @property
    def report(self) -> Path:
        """The report, one HTML page."""
        return self.folder / "report.html"

    @property
    def yields(self) -> dict[str, dict[str, Any]]:
        """What became of the rows that each step made by asking, or judged (its `yield.json`), by its out."""
        run, steps = RunFolder(self.folder), enumerate(self.recipe.steps)
        files = {step.out: run.step(place, step) / YIELD for place, step in steps}
        return {out: read_json(file) for out, file in files.items() if file.is_file()}

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """What was measured (see `limbeck.evaluation.evaluate`); None without an evaluate step."""
        path = self.folder / "evaluation.json"
        return read_json(path) if path.is_file() else None

    @property
    def comparison(self) -> dict[str, Any] | None:
        """All evaluations side by side (see `limbeck.evaluation.comparison`); None with a single one."""
        path = self.folder / "comparison.json"
        return read_json(path) if path.is_file() else None


def run(
    recipe: str | Path | Recipe,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **inputs: Any,
) -> Run:
    """Run a recipe; finished steps of an earlier run in the same folder are reused.

    Args:
        recipe: name of a recipe (`limbeck list recipes`), path of a recipe file, or a recipe.
        out: run folder; None: `runs/<name of the recipe>`.
        overwrite: recompute what an earlier run of another recipe, or on other data, has left there.
        progress: told what happens; None prints lines.
        inputs: of the recipe, and overrides such as `**{"steps.student.max_steps": 10}`. Data may be a
            `Dataset`, a DataFrame or a list of dicts, models and tokenizers may be loaded ones, a model with
            its tokenizer as `(model, tokenizer)`: they are kept in limbeck's cache, by their content.

    Raises:
        UserError: something about the input is wrong; nothing was started.
        Interrupted: Ctrl-C or SIGTERM; the same call goes on.
    """
    outset = Preflight(None if out is None else Path(out), overwrite)
    resolved = resolve(recipe, named(inputs), outset)
    folder = outset.folder(resolved.name)
    progress = progress or (Lines() if ranks.is_main() else Silent())
    with ExitStack() as stack:
        stack.enter_context(storage_said(folder.path))
        if ranks.is_main():
            folder.check_free()
        day = folder.template_date()
        stack.enter_context(dated(day))
        known = _marks(resolved) if _may_be_done(folder) else None
        if known is not None and _all_done(resolved, folder, known, overwrite=overwrite):
            if ranks.is_main():
                stack.enter_context(folder.claimed())
            execute(resolved, folder, known, rows={}, progress=progress)
            return Run(folder.path, resolved)
        plan, seen = make_plan(resolved, folder.path, done=_finished(resolved, folder, known))
        marks = fingerprint_steps(resolved)
        _all_done(resolved, folder, marks, overwrite=overwrite)
        ranks.wait()  # nobody writes before everybody has looked
        if ranks.is_main():
            stack.enter_context(folder.claimed())
            if overwrite:
                folder.keep_only(resolved, marks)
            folder.write_recipe(resolved)
            folder.write_template_date(day)
            progress.planned(plan)
        ranks.wait()
        execute(
            resolved,
            folder,
            marks,
            rows=seen.rows,
            progress=progress,
            renderer=seen.renderer,
            planned=[step.seconds for step in plan.steps],
        )
    return Run(folder.path, resolved)


def finished_steps(recipe: Recipe, folder: RunFolder) -> frozenset[int]:
    """Places of the steps that lie finished in a run folder and would be taken as they are."""
    return _finished(recipe, folder, _marks(recipe) if _may_be_done(folder) else None)


def _finished(recipe: Recipe, folder: RunFolder, marks: list[StepFingerprint] | None) -> frozenset[int]:
    steps = enumerate(zip(recipe.steps, marks or (), strict=False))
    return frozenset(
        place for place, (step, mark) in steps if folder.check_step(place, step, mark, overwrite=True)
    )


def _may_be_done(folder: RunFolder) -> bool:
    return any(folder.path.glob("steps/*/done.json"))


def _marks(recipe: Recipe) -> list[StepFingerprint] | None:
    """Fingerprints, or None where something that is read is not there: planning then says what."""
    try:
        return fingerprint_steps(recipe)
    except (UserError, OSError):
        return None


def _all_done(recipe: Recipe, folder: RunFolder, marks: list[StepFingerprint], *, overwrite: bool) -> bool:
    done = [
        folder.check_step(place, step, mark, overwrite=overwrite)
        for place, (step, mark) in enumerate(zip(recipe.steps, marks, strict=True))
    ]
    return all(done)
