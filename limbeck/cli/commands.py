"""The commands that import torch: they call `limbeck.runs` and print what comes back."""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.cli.bars import Bars
from limbeck.cli.consoles import plain_console
from limbeck.cli.plans import plan_table, plan_totals
from limbeck.cli.quiet import silence
from limbeck.cli.rendering import preview_text
from limbeck.cli.tables import comparison_table, result_table
from limbeck.core.errors import RunFolderError
from limbeck.runs.checking.preflight import Preflight
from limbeck.runs.record.progress import Lines, Silent
from limbeck.runs.resolve import parse_pairs, resolve

if TYPE_CHECKING:
    from rich.status import Status

    from limbeck.runs.checking.plan import Plan


def plan_command(recipe: str, pairs: Sequence[str], out: Path | None) -> None:
    """Check everything, print the plan, and whether the run folder would take the run."""
    outset = Preflight(out, looks_only=True)
    resolved = resolve(recipe, parse_pairs(pairs), outset)
    folder = outset.folder(resolved.name)
    console = plain_console()
    with _waiting("looking at models and data"):
        silence()
        from limbeck.runs.checking.plan import make_plan
        from limbeck.runs.launch import finished_steps

        made, seen = make_plan(resolved, folder.path, done=finished_steps(resolved, folder))
    console.print(plan_table(made, console))
    for one in next(iter(seen.samples.values()), ()):
        console.print(preview_text(one, coloured=console.is_terminal, short=True), soft_wrap=True)
    console.print(plan_totals(made))
    try:
        folder.check(resolved.to_data(), overwrite=False)
    except RunFolderError as error:
        print(f"note: limbeck run will need another --out: {error.problems[0]}")


def run_command(recipe: str, pairs: Sequence[str], out: Path | None, *, overwrite: bool) -> None:
    """Run, with bars; then the result and where it lies."""
    outset = Preflight(out, overwrite)
    # Mistakes in words and places are said before torch is imported.
    resolved = resolve(recipe, parse_pairs(pairs), outset)
    silence()
    with _waiting("looking at models and data"):
        from limbeck.runs import ranks
        from limbeck.runs.launch import run

        is_main = ranks.is_main()
    console = plain_console()
    shows_bars = console.is_terminal and is_main
    if shows_bars:
        with Bars(console) as bars:
            done = run(resolved, out, overwrite=overwrite, progress=bars)
    else:
        done = run(
            resolved, out, overwrite=overwrite, progress=_PlannedLines(sys.stdout) if is_main else Silent()
        )
    if not is_main:
        return
    evaluation = done.evaluation
    if evaluation is not None:
        console.print(result_table(evaluation))
    if done.comparison is not None:
        console.print(comparison_table(done.comparison))
    for name, found in done.yields.items():
        console.print(_said_of_yield(name, found), soft_wrap=True, highlight=False)
    for name, path in (("student", done.student), ("report", done.report)):
        if path.exists():
            console.print(f"{name}: {path}", soft_wrap=True, highlight=False)


def _said_of_yield(out: str, found: Mapping[str, Any]) -> str:
    """A line on rows that were made or judged."""
    said = f"{out}: {found['accepted']:,} of {found['candidates']:,} candidates accepted"
    if found.get("calls"):
        said += f", {found['calls']:,} calls ({found.get('cached') or 0:,} kept already)"
    if found.get("cost_per_accepted") and found.get("currency"):
        said += f", {found['cost_per_accepted']} {found['currency']} an accepted row"
    if found.get("failed"):
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in found["failures"].items())
        said += f"; {found['failed']:,} without an answer ({reasons}), listed in its failures.jsonl"
    return said


def evaluate_command(
    model: str,
    data: str,
    teacher: str | None,
    baseline: str | None,
    pairs: Sequence[str],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Measure, print the table."""
    inputs = parse_pairs(pairs)
    silence()
    with _waiting("looking at models and data"):
        from limbeck.runs.commands.evaluate import measuring
        from limbeck.runs.launch import run

        recipe = measuring(model, data, teacher=teacher, baseline=baseline, inputs=inputs)
    console = plain_console()
    with tempfile.TemporaryDirectory(prefix="limbeck-") as folder:
        place = out or Path(folder) / "run"
        if console.is_terminal and not as_json:
            with Bars(console) as bars:
                done = run(recipe, place, progress=bars)
        else:
            done = run(recipe, place, progress=Silent())
        evaluation = done.evaluation
    assert evaluation is not None, "the recipe ends with an evaluate step"
    if as_json:
        print(json.dumps(evaluation, indent=2, ensure_ascii=False))
        return
    console.print(result_table(evaluation))
    if out is not None:
        console.print(f"report: {done.report}", soft_wrap=True, highlight=False)


def report_command(folder: Path) -> None:
    """Write the report anew, print where it is."""
    if not (folder / "recipe.yaml").is_file():
        raise RunFolderError(f"run folder must hold a recipe.yaml, got {folder}. Name the folder of a run.")
    if not (folder / "evaluation.json").is_file() and not any(folder.glob("steps/*/yield.json")):
        raise RunFolderError(
            f"run must be finished, got {folder} without evaluation.json. Run it to its end first."
        )
    silence()
    from limbeck.report.build import build_report

    build_report(folder)
    print(folder / "report.html")


class _PlannedLines(Lines):
    """`Lines` with the plan as a table before them."""

    def planned(self, plan: "Plan") -> None:
        """The plan."""
        console = plain_console(sys.stdout)
        console.print(plan_table(plan, console))


def _waiting(text: str) -> "Status":
    """A sign of life on a terminal while libraries are imported."""
    return plain_console(stderr=True).status(f"{text} ...")
