"""Rows judged again by other gates or settings, without asking anybody: `limbeck gate`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets, load_from_disk

from limbeck.core.catalogue import catalogue
from limbeck.core.config import validate
from limbeck.core.errors import ConfigError, Problem, RunFolderError
from limbeck.core.files import read_mapping, write_folder, write_json
from limbeck.core.lineage import VERDICTS
from limbeck.core.lookup import did_you_mean
from limbeck.gates.judging import Gate as CalledGate
from limbeck.gates.judging import Judging, Needs
from limbeck.gates.verdict import verdicts_of
from limbeck.recipes.calls import GateCall
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Elicit, Gate
from limbeck.recipes.text import read_yaml
from limbeck.rows.load import load_rows
from limbeck.runs.assembly.asking import finished
from limbeck.runs.record.folder import RECIPE, RunFolder
from limbeck.runs.steps.gate import REJECTED, YIELD, judge_all, with_column, yield_of


@dataclass(frozen=True)
class Regated:
    """Rows with new verdicts.

    Attributes:
        before: what `yield.json` of the step says; None of rows from a file.
        after: the same with the gates as they are now.
        rows: all candidates with their new verdicts, those that pass marked in `accepted`.
        accepted: whether each passes.
    """

    before: Mapping[str, Any] | None
    after: Mapping[str, Any]
    rows: Dataset
    accepted: Sequence[bool]

    def write(self, out: Path) -> None:
        """Keep `rows.jsonl`, `rejected.jsonl` and `yield.json` in a folder of their own.

        Raises:
            RunFolderError: there is something already.
        """
        if out.exists():
            raise RunFolderError(f"--out must name a folder that is not there yet, got {out}. Name another.")

        def fill(folder: Path) -> None:
            for name, wanted in (("rows", True), (REJECTED, False)):
                places = [place for place, is_in in enumerate(self.accepted) if is_in is wanted]
                self.rows.select(places).to_json(folder / f"{name}.jsonl", force_ascii=False)
            write_json(folder / YIELD, self.after)

        write_folder(out, fill)


def regate(
    place: Path,
    words: Sequence[str],
    *,
    keep: str = "all",
    step: str | None = None,
    against: Sequence[str] = (),
) -> Regated:
    """Judge the candidates of a run's step, or the rows of a file, again.

    Args:
        place: a run folder, or a file of rows.
        words: gates by name, each with its settings as key=value behind it; none: those of the step.
        keep: `all` or `any`.
        step: out of the step; none: the last one that judges rows.
        against: files of rows to compare with; none: those of the step.

    Raises:
        UserError: gates, rows or settings are wrong, or a gate needs a model.
    """
    calls = parsed_gates(words)
    if not (place / RECIPE).is_file():
        if not calls:
            raise ConfigError(Problem("gates", "must be named for rows of a file, got none. Name some."))
        return _judged(load_rows(str(place)), calls, _compared(against), keep, None)
    recipe, run = Recipe.from_yaml((place / RECIPE).read_text(encoding="utf-8")), RunFolder(place)
    number = _place_of(recipe, step)
    made = recipe.steps[number]
    assert isinstance(made, Elicit | Gate)
    folder = run.step(number, made)
    before = read_mapping(folder / YIELD)
    if before is None:
        raise RunFolderError(f"step {made.out} must be finished, got {folder} without {YIELD}. Run it first.")
    compared = _compared(against)
    if compared is None and isinstance(made, Gate) and made.against:
        compared = [row for word in made.against for row in _rows_of(recipe, run, word)]
    rows = _candidates(folder)
    return _judged(rows, calls or list(made.gates), compared, keep, before)


def parsed_gates(words: Sequence[str]) -> list[GateCall]:
    """Gates with their settings from words: `length max=200 novelty`.

    Raises:
        ConfigError: a setting before the first gate, or what a gate does not know.
    """
    found: list[dict[str, Any]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            found.append({"name": word})
        elif not found:
            raise ConfigError(Problem(word, "must stand behind the gate it is a setting of."))
        else:
            found[-1][name.removeprefix("--")] = read_yaml(value)
    return [validate(GateCall, one, f"gates.{place}") for place, one in enumerate(found)]


def _judged(
    rows: Dataset,
    calls: Sequence[GateCall],
    against: Sequence[Mapping[str, Any]] | None,
    keep: str,
    before: Mapping[str, Any] | None,
) -> Regated:
    gates = [CalledGate(one.name, one.options) for one in calls]
    for gate in gates:
        lost = [name for name in gate.needs if name in ("classifier", "scorer")]
        if lost:
            raise ConfigError(
                Problem(
                    gate.name, f"needs a {lost[0]}, which this command has none of. Put it into a gate step."
                )
            )
    chain = Judging(gates, Needs(against=against, kept_scores=True), keep="any" if keep == "any" else "all")
    verdicts, accepted = finished(judge_all(chain, rows))
    old = (
        [len(verdicts_of(row)) for row in rows.select_columns([VERDICTS])]
        if VERDICTS in rows.column_names
        else []
    )
    if old:
        verdicts = [
            json.dumps(json.loads(new)[count:], ensure_ascii=False)
            for new, count in zip(verdicts, old, strict=True)
        ]
    return Regated(before, yield_of(chain, accepted), with_column(rows, verdicts), accepted)


def _place_of(recipe: Recipe, out: str | None) -> int:
    judged = {one.out: place for place, one in enumerate(recipe.steps) if isinstance(one, Elicit | Gate)}
    if not judged:
        raise ConfigError("the run must have an elicit or gate step, got none. Name a file of rows instead.")
    if out is None:
        return list(judged.values())[-1]
    if out not in judged:
        raise ConfigError(Problem("step", f"unknown step '{out}'.{did_you_mean(out, judged)}"))
    return judged[out]


def _candidates(folder: Path) -> Dataset:
    """What passed and what gates refused, in this order; not answers that no operator could read."""
    known = catalogue("gates")
    kept, refused = (load_from_disk(str(folder / name)) for name in ("rows", REJECTED))
    by_gates = [
        place
        for place, row in enumerate(refused)
        if all(one["gate"] in known for one in verdicts_of(row) if not one["passed"])
    ]
    if not by_gates:
        return kept
    others = refused.select(by_gates)
    if kept.features == others.features:
        return concatenate_datasets([kept, others])
    return Dataset.from_list(
        [*kept, *others]
    )  # a column that all rows of one side lack has a type of its own


def _rows_of(recipe: Recipe, run: RunFolder, word: str) -> Dataset:
    out, _, part = word.partition(".")
    number = next(place for place, one in enumerate(recipe.steps) if one.out == out)
    return load_from_disk(str(run.step(number, recipe.steps[number]) / (part or "rows")))


def _compared(against: Sequence[str]) -> list[Mapping[str, Any]] | None:
    return [row for path in against for row in load_rows(path)] if against else None
