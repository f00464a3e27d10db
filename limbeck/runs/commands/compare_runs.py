"""Finished runs side by side: runs that differ in their seeds alone are one line with an interval.

Reads the files of run folders; imports no torch.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.errors import ConfigError, Problem, RunFolderError
from limbeck.core.files import read_json
from limbeck.core.fingerprint import fingerprint
from limbeck.core.lookup import did_you_mean
from limbeck.core.measures import COMPARED, MEASURES
from limbeck.recipes.model import Recipe
from limbeck.recipes.text import read_yaml
from limbeck.runs.record.folder import DONE, RECIPE, RunFolder

FORMAT, VERSION = "limbeck-runs", 1
LEVEL = 0.95

_ROWS = "rows.json"
_EVALUATION, _METRICS = "evaluation.json", "metrics.jsonl"
_NO_SCATTER = 1e-12
FEWEST_ROWS = 10  # below, rows give no verdict
_NAMED = 3  # differing fields in the label of a group
Values = dict[str, Any]


@dataclass(frozen=True)
class FinishedRun:
    """What a finished run says.

    Attributes:
        path: its folder.
        recipe: as it was resolved.
        evaluation: the last one.
        seed: of the last train step; of the evaluation where nothing was trained.
        steps: optimizer steps of the last train step; None where nothing was trained.
        tokens: read by the last train step.
        seconds: of all steps.
        by_row: measure -> subject -> row -> value, where the evaluation kept it.
    """

    path: Path
    recipe: Recipe
    evaluation: Mapping[str, Any]
    seed: int
    steps: int | None
    tokens: int | None
    seconds: float
    by_row: Mapping[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe as plain data without its seeds: runs with equal settings are one group."""
        return _without_seeds(self.recipe.resolved())

    @property
    def student(self) -> str:
        """Name of the measured model."""
        return next(str(one["name"]) for one in self.evaluation["subjects"] if one["role"] == "student")


def compare_runs(folders: Sequence[Path], *, baseline: str | None = None) -> dict[str, Any]:
    """Group finished runs by what they are, and average the student's measures over the seeds.

    Args:
        folders: run folders.
        baseline: name of the group, or one of its folders, that differences are taken to; None: the
            group of the first folder.

    Returns:
        Plain JSON data:

        - format: "limbeck-runs", version: 1; data: rows, fingerprint
        - baseline: name of that group; measures: names that at least one group has
        - groups: list of {name, runs (folders), seeds, steps, tokens, seconds, parameters (means),
          measures {name: {mean, interval, n, over}}, differences {name: {mean, interval, n, over,
          verdict}}}: intervals are at 95 %, Student's t over seeds, of one seed over rows (None below ten
          rows that both measured); differences are paired by seed or row
        - notes: sentences

    Raises:
        RunFolderError: all folders that are no finished run with an evaluation.
        ConfigError: runs on different held-out rows, one seed twice in a group, no such baseline.
    """
    runs = _read_all(folders)
    _check_same_rows(runs)
    groups = _groups(runs)
    names = _names(groups)
    _check_seeds(names, groups)
    chosen = 0 if baseline is None else _chosen(baseline, names, groups)
    first = runs[0].evaluation["data"]
    return {
        "format": FORMAT,
        "version": VERSION,
        "data": {"rows": first["rows"], "fingerprint": first["fingerprint"]},
        "baseline": names[chosen],
        "measures": [name for name in COMPARED if any(_values(group, name) for group in groups)],
        "groups": [
            _summary(name, group, None if place == chosen else groups[chosen])
            for place, (name, group) in enumerate(zip(names, groups, strict=True))
        ],
        "notes": _notes(runs, names, groups, chosen),
    }


def read_finished(folder: Path) -> FinishedRun:
    """Read one finished run.

    Raises:
        RunFolderError: it is no run, not finished, or was not evaluated.
    """
    if not (folder / RECIPE).is_file():
        there = "a folder without recipe.yaml" if folder.is_dir() else "nothing there"
        raise RunFolderError(
            Problem(str(folder), f"must be a folder that `limbeck run` wrote, got {there}. Name run folders.")
        )
    try:
        recipe = Recipe.from_data(read_yaml((folder / RECIPE).read_text(encoding="utf-8")))
    except (ConfigError, UnicodeDecodeError):
        raise RunFolderError(
            Problem(str(folder), "must hold a recipe of this version of limbeck, got another. Run it anew.")
        ) from None
    done = _done_steps(folder, recipe)
    if not any(step.makes == "evaluation" for step in recipe.steps) or not (folder / _EVALUATION).is_file():
        raise RunFolderError(
            Problem(str(folder), "must have an evaluation, got none. Add an evaluate step and run it.")
        )
    evaluation = read_json(folder / _EVALUATION)
    if "fingerprint" not in evaluation.get("data", {}):
        raise RunFolderError(
            Problem(
                str(folder),
                "must have been evaluated by this version of limbeck, got an evaluation that does not say on "
                "which rows. Evaluate anew, in another folder.",
            )
        )
    trained = [place for place, step in enumerate(recipe.steps) if step.makes == "model"]
    last = trained[-1] if trained else None
    return FinishedRun(
        path=folder,
        recipe=recipe,
        evaluation=evaluation,
        seed=int(getattr(recipe.steps[-1 if last is None else last], "seed", 0)),
        steps=None
        if last is None
        else _last_step(RunFolder(folder).step(last, recipe.steps[last]) / _METRICS),
        tokens=None if last is None else int(done[last]["tokens"]),
        seconds=sum(float(one["seconds"]) for one in done),
        by_row=_by_row(folder, recipe),
    )


def mean_and_interval(values: Sequence[float]) -> Values:
    """Mean, n, and Student's t interval at 95 %; none with fewer than two values or without scatter."""
    from scipy.stats import t  # half a second, only where it is needed

    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return {"mean": mean, "interval": None, "n": n}
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
    if error <= _NO_SCATTER * abs(mean):  # equal shares of few prompts: nothing is known of their scatter
        return {"mean": mean, "interval": None, "n": n}
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return {"mean": mean, "interval": [mean - half, mean + half], "n": n}


def _read_all(folders: Sequence[Path]) -> list[FinishedRun]:
    runs, problems = [], []
    seen: set[Path] = set()
    for folder in folders:
        if folder.resolve() in seen:
            problems.append(Problem(str(folder), "is named twice. Name every run once."))
            continue
        seen.add(folder.resolve())
        try:
            runs.append(read_finished(folder))
        except RunFolderError as error:
            problems += error.problems
    if problems:
        raise RunFolderError(problems)
    return runs


def _done_steps(folder: Path, recipe: Recipe) -> list[dict[str, Any]]:
    done = []
    for place, step in enumerate(recipe.steps):
        path = RunFolder(folder).step(place, step) / DONE
        if not path.is_file():
            where = f"step {place + 1} of {len(recipe.steps)}, {step.kind} {step.out}, is not done"
            again = f"limbeck run {folder / RECIPE} --out {folder}"
            raise RunFolderError(
                Problem(str(folder), f"must be finished, got a run whose {where}. `{again}`.")
            )
        done.append(read_json(path))
    return done


def _by_row(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """The measures of single rows of the last evaluation; empty where it kept none."""
    place, step = [(place, step) for place, step in enumerate(recipe.steps) if step.makes == "evaluation"][-1]
    path = RunFolder(folder).step(place, step) / _ROWS
    found: dict[str, Any] = read_json(path) if path.is_file() else {}
    return found


def _last_step(metrics: Path) -> int | None:
    lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
    return int(json.loads(lines[-1])["step"]) if lines else None


def _without_seeds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_seeds(item) for key, item in value.items() if key != "seed"}
    return [_without_seeds(item) for item in value] if isinstance(value, list) else value


def _check_same_rows(runs: Sequence[FinishedRun]) -> None:
    by_rows: dict[str, list[FinishedRun]] = {}
    for run in runs:
        by_rows.setdefault(run.evaluation["data"]["fingerprint"], []).append(run)
    if len(by_rows) > 1:
        said = "; ".join(
            f"{', '.join(str(run.path) for run in group)} ({group[0].evaluation['data']['rows']} rows)"
            for group in by_rows.values()
        )
        raise ConfigError(
            f"runs must be evaluated on the same held-out rows, got {len(by_rows)} different sets: {said}. "
            "Compare runs of one set."
        )


def _groups(runs: Sequence[FinishedRun]) -> list[list[FinishedRun]]:
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(fingerprint(run.settings), []).append(run)
    return [sorted(group, key=lambda run: run.seed) for group in groups.values()]


def _names(groups: Sequence[Sequence[FinishedRun]]) -> list[str]:
    """The recipe's name; of several groups of one name, with what differs, else with a folder."""
    names = []
    flat = [_flat(group[0].settings) for group in groups]
    for place, group in enumerate(groups):
        name = group[0].recipe.name
        same = [flat[other] for other in range(len(groups)) if groups[other][0].recipe.name == name]
        if len(same) == 1:
            names.append(name)
            continue
        paths = [path for path in dict.fromkeys(path for one in same for path in one) if _differs(path, same)]
        said = ", ".join(f"{_short(path)}={flat[place].get(path, 'none')}" for path in paths)
        names.append(f"{name} ({said if len(paths) <= _NAMED else group[0].path})")
    return names


def _differs(path: str, found: Sequence[Mapping[str, Any]]) -> bool:
    return len({repr(one.get(path)) for one in found}) > 1


def _short(path: str) -> str:
    return ".".join(path.split(".")[-2:]) if path.split(".")[-2:][0].isdigit() else path.split(".")[-1]


def _flat(value: Any, where: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = [(str(place), item) for place, item in enumerate(value)]
    else:
        return {where.rstrip("."): value}
    return {path: leaf for key, item in items for path, leaf in _flat(item, f"{where}{key}.").items()}


def _check_seeds(names: Sequence[str], groups: Sequence[Sequence[FinishedRun]]) -> None:
    problems = []
    for name, group in zip(names, groups, strict=True):
        seeds = [run.seed for run in group]
        for seed in sorted({seed for seed in seeds if seeds.count(seed) > 1}):
            twice = ", ".join(str(run.path) for run in group if run.seed == seed)
            problems.append(Problem(name, f"must have each seed once, got seed {seed} in {twice}. Keep one."))
    if problems:
        raise ConfigError(problems)


def _chosen(baseline: str, names: Sequence[str], groups: Sequence[Sequence[FinishedRun]]) -> int:
    for place, (name, group) in enumerate(zip(names, groups, strict=True)):
        folders = {str(run.path).rstrip("/") for run in group} | {run.path.resolve().name for run in group}
        if baseline.rstrip("/") in {name, *folders}:
            return place
    known = [*names, *(str(run.path) for group in groups for run in group)]
    raise ConfigError(Problem("--baseline", f"unknown run '{baseline}'.{did_you_mean(baseline, known)}"))


def _values(group: Sequence[FinishedRun], measure: str) -> dict[int, float]:
    """Seed -> value, of the runs that have it."""
    found = {run.seed: MEASURES[measure].of(run.evaluation, run.student) for run in group}
    return {seed: float(estimate["value"]) for seed, estimate in found.items() if estimate is not None}


def _summary(
    name: str, group: Sequence[FinishedRun], baseline: Sequence[FinishedRun] | None
) -> dict[str, Any]:
    values = {measure: found for measure in COMPARED if (found := _values(group, measure))}
    differences = {}
    for measure, own in values.items() if baseline is not None else ():
        other = _values(baseline or (), measure)
        seeds = sorted(own.keys() & other.keys())
        paired = [own[seed] - other[seed] for seed in seeds]
        if len(paired) > 1:
            differences[measure] = mean_and_interval(paired) | {"over": "seeds"}
        elif paired:
            differences[measure] = _over_rows(measure, seeds[0], group, baseline or (), paired[0])
        if paired:
            differences[measure]["verdict"] = _verdict(measure, differences[measure])
    subjects = [one for run in group for one in run.evaluation["subjects"] if one["name"] == run.student]
    return {
        "name": name,
        "runs": [str(run.path) for run in group],
        "seeds": [run.seed for run in group],
        "steps": _mean([run.steps for run in group]),
        "tokens": _mean([run.tokens for run in group]),
        "seconds": _mean([run.seconds for run in group]),
        "parameters": _mean([subject.get("parameters") for subject in subjects]),
        "measures": {measure: _measured(group, measure, found) for measure, found in values.items()},
        "differences": differences,
    }


def _measured(group: Sequence[FinishedRun], measure: str, found: Mapping[int, float]) -> Values:
    """Mean and interval over seeds; of one seed, the interval over rows that its evaluation holds."""
    summary = mean_and_interval(list(found.values())) | {"over": "seeds"}
    if len(found) == 1:
        (run,) = (one for one in group if one.seed in found)
        estimate = MEASURES[measure].of(run.evaluation, run.student) or {}
        summary |= {"interval": estimate.get("interval"), "over": "rows"}
    return summary


def _over_rows(
    measure: str,
    seed: int,
    group: Sequence[FinishedRun],
    baseline: Sequence[FinishedRun],
    difference: float,
) -> Values:
    """The difference of one seed, with its interval over the rows that both runs kept."""
    sides = [next(run for run in runs if run.seed == seed) for runs in (group, baseline)]
    own, other = (run.by_row.get(measure, {}).get(run.student, {}) for run in sides)
    common = [row for row in own if row in other]
    found: Values = {"mean": difference, "interval": None, "n": 1, "over": "rows"}
    if len(common) < FEWEST_ROWS:
        return found
    from limbeck.evaluation.study import paired_t_test  # imports scipy

    tested = paired_t_test([own[row] for row in common], [other[row] for row in common])
    # Rows count alike there; the difference of the whole lies elsewhere where rows are of unequal size.
    shift = difference - tested["difference"]
    bounds = tested["interval"]
    return found | {"interval": bounds and [bound + shift for bound in bounds], "rows": len(common)}


def _verdict(measure: str, change: Values) -> str:
    """`better`, `worse`, or `undecided` where the interval holds 0 or there is none."""
    better, bounds = MEASURES[measure].better, change["interval"]
    if bounds is None or not better or bounds[0] <= 0 <= bounds[1]:
        return "undecided"
    return "better" if (bounds[0] > 0) == (better == "higher") else "worse"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _notes(
    runs: Sequence[FinishedRun], names: Sequence[str], groups: Sequence[Sequence[FinishedRun]], chosen: int
) -> list[str]:
    notes = []
    scored = {run.evaluation["data"].get("scored") for run in runs}
    if len(scored) > 1:
        notes.append(
            "The runs scored different tokens of these rows (other tokenizer, max_length or max_positions): "
            "only measures that count bytes or whole answers are comparable."
        )
    first = {run.seed for run in groups[chosen]}
    alone = [
        name for name, group in zip(names, groups, strict=True) if not first & {run.seed for run in group}
    ]
    if alone:
        notes.append(f"No difference for {', '.join(alone)}: no seed in common with {names[chosen]}.")
    return notes
