"""The files of a run folder, as far as they are there."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from limbeck.core.errors import RunFolderError
from limbeck.core.files import read_json
from limbeck.core.kinds import ModelKind, kind_named

FORMAT, VERSION = "limbeck-evaluation", 1


@dataclass(frozen=True)
class Record:
    """What a run left behind.

    Attributes:
        name: the run's name, from the recipe or else the folder.
        recipe_text: the resolved recipe as it was written.
        recipe: the same as data.
        versions: what it ran on.
        evaluation: result of `limbeck.evaluation.evaluate`, or empty.
        comparison: result of `limbeck.evaluation.comparison.compare`, or empty.
        validation: by train step, `curves` of what it measured on the way and the verdict on `hacking`.
        curves: by train step, its logged lines in order.
        steps: `done.json` of every finished step, in order.
    """

    name: str
    recipe_text: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    comparison: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kind(self) -> ModelKind | None:
        """What the evaluated models are; None without an evaluation that says so."""
        return kind_named(self.evaluation["kind"]) if self.evaluation.get("kind") else None

    @property
    def subjects(self) -> list[dict[str, Any]]:
        """The compared models: teacher, students, baselines."""
        found: list[dict[str, Any]] = self.evaluation.get("subjects", [])
        return found

    def named(self, role: str) -> str | None:
        """Name of the first subject in that role."""
        return next((subject["name"] for subject in self.subjects if subject["role"] == role), None)

    def measured(self, metric: str, subject: str | None) -> dict[str, Any]:
        """What a metric says of a subject; empty when it says nothing."""
        found: dict[str, Any] = self.metric(metric).get("subjects", {}).get(subject, {})
        return found

    def metric(self, metric: str) -> dict[str, Any]:
        """The result of a metric; empty when it was not asked for."""
        found: dict[str, Any] = self.evaluation.get("metrics", {}).get(metric, {})
        return found


def read_run(folder: Path) -> Record:
    """Read what there is in a run folder.

    Raises:
        RunFolderError: there is no such folder, it holds neither recipe nor evaluation, or the
            evaluation was written in another format.
    """
    recipe_path, evaluation_path = folder / "recipe.yaml", folder / "evaluation.json"
    if not recipe_path.exists() and not evaluation_path.exists():
        raise RunFolderError(
            f"the run folder must hold recipe.yaml or evaluation.json, got {folder}. "
            "Give the folder that `limbeck run` wrote to."
        )
    text = recipe_path.read_text(encoding="utf-8") if recipe_path.exists() else ""
    recipe = yaml.safe_load(text) or {}
    evaluation = _json(evaluation_path)
    written = (evaluation.get("format"), evaluation.get("version"))
    if evaluation and written != (FORMAT, VERSION):
        raise RunFolderError(
            f"evaluation.json must be {FORMAT} version {VERSION}, got {written[0]} version {written[1]}. "
            "Evaluate again with this version of limbeck."
        )
    return Record(
        name=str(recipe.get("name") or folder.resolve().name),
        recipe_text=text,
        recipe=recipe,
        versions=_json(folder / "versions.json"),
        evaluation=evaluation,
        comparison=_json(folder / "comparison.json"),
        validation=_json(folder / "validation.json"),
        curves=_curves(folder / "metrics.jsonl"),
        steps=[read_json(path) for path in sorted(folder.glob("steps/*/done.json"), key=_place)],
    )


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path) if path.exists() else {}
    return found


def _place(path: Path) -> tuple[int, str]:
    number, _, rest = path.parent.name.partition("-")
    return (int(number), rest) if number.isdigit() else (10**9, path.parent.name)


def _curves(path: Path) -> dict[str, list[dict[str, Any]]]:
    curves: dict[str, list[dict[str, Any]]] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        if line.strip():
            entry = json.loads(line)
            curves.setdefault(str(entry.get("phase", "train")), []).append(entry)
    return curves
