"""Several evaluations on the same rows: one table, points of figures, and tests over what was varied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.measures import COMPARED, MEASURES, SIZES
from limbeck.evaluation.statistics import verdict
from limbeck.evaluation.study import one_way_anova, paired_t_test, rank_correlation

FORMAT, VERSION = "limbeck-comparison", 1

Level = float | str


@dataclass(frozen=True)
class Axes:
    """A figure: measure `y` over measure or varied quantity `x`, one colour for each level of `group`."""

    x: str
    y: str
    group: str | None = None


@dataclass(frozen=True)
class Question:
    """A test of measure `y`: spearman with `x`, anova over `factor`, paired_t `against` an evaluation."""

    test: Literal["spearman", "anova", "paired_t"]
    y: str
    x: str | None = None
    factor: str | None = None
    against: str | None = None


def compare(
    evaluations: Mapping[str, Mapping[str, Any]],
    *,
    by: Mapping[str, Mapping[str, Level]],
    figures: Sequence[Axes] = (),
    questions: Sequence[Question] = (),
) -> dict[str, Any]:
    """Put the students of several evaluations side by side.

    Teachers and baselines are models of the table too, each once; figures and tests are about the students.

    Args:
        evaluations: name -> result of `evaluate`.
        by: name -> what was varied there.
        figures: points to collect.
        questions: tests to make.

    Returns:
        Plain JSON data:

        - format: "limbeck-comparison", version: 1
        - data: rows, fingerprint
        - factors: keys of `by`; measures: names that at least one model has
        - models: list of {evaluation, name, role, description, parameters, teacher_parameters,
          by {factor: level} (of a student), values {measure: estimate}}
        - figures: list of {x, y, group, points: [{evaluation, x, y, interval, group}]}
        - tests: list of {test, y, x | factor | against, ...}: the result of the test (`study`), of
          paired_t one for each other evaluation, in `pairs` [{evaluation, ..., verdict}]

    Raises:
        ConfigError: evaluations on different rows, by name.
    """
    _check_same_rows(evaluations)
    models = [
        model
        for name, evaluation in evaluations.items()
        for model in _models(name, evaluation, by.get(name, {}))
    ]
    models = _once(models)
    students = [model for model in models if model["role"] == "student"]
    first = next(iter(evaluations.values()))["data"]
    return {
        "format": FORMAT,
        "version": VERSION,
        "data": {"rows": first["rows"], "fingerprint": first.get("fingerprint")},
        "factors": list(dict.fromkeys(name for levels in by.values() for name in levels)),
        "measures": [name for name in COMPARED if any(name in model["values"] for model in models)],
        "models": models,
        "figures": [_figure(axes, students) for axes in figures],
        "tests": [_answer(question, students, evaluations) for question in questions],
    }


def _check_same_rows(evaluations: Mapping[str, Mapping[str, Any]]) -> None:
    prints = {name: evaluation["data"].get("fingerprint") for name, evaluation in evaluations.items()}
    first = next(iter(prints))
    other = [name for name in prints if prints[name] != prints[first]]
    if other:
        raise ConfigError(
            Problem(
                "evaluations",
                f"must be on the same held-out rows, got others in {', '.join(other)} than in {first}. "
                "Evaluate all on the same rows.",
            )
        )


def _models(name: str, evaluation: Mapping[str, Any], by: Mapping[str, Level]) -> list[dict[str, Any]]:
    teacher = next((one for one in evaluation["subjects"] if one["role"] == "teacher"), None)
    found = []
    for subject in evaluation["subjects"]:
        values = {
            measure: estimate
            for measure, where in COMPARED.items()
            if (estimate := where.of(evaluation, subject["name"])) is not None
        }
        found.append(
            {
                "evaluation": name,
                "name": subject["name"],
                "role": subject["role"],
                "description": subject["description"],
                "parameters": subject.get("parameters"),
                "teacher_parameters": None
                if teacher is None or subject is teacher
                else teacher.get("parameters"),
                "by": dict(by) if subject["role"] == "student" else {},
                "values": values,
            }
        )
    return found


def _once(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A teacher or baseline that several evaluations share is there once: where all it measured is equal."""
    kept: list[dict[str, Any]] = []
    for model in models:
        shared = {key: model[key] for key in ("name", "role", "description", "values")}
        is_known = model["role"] != "student" and any(
            all(other[key] == value for key, value in shared.items()) for other in kept
        )
        if not is_known:
            kept.append(model)
    return kept


def _value(model: Mapping[str, Any], name: str) -> Any:
    if name in SIZES:
        return model.get(name)
    if name in COMPARED:
        return model["values"].get(name, {}).get("value")
    return model["by"].get(name)


def _figure(axes: Axes, students: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    points = [
        {
            "evaluation": student["evaluation"],
            "x": _value(student, axes.x),
            "y": _value(student, axes.y),
            "interval": student["values"].get(axes.y, {}).get("interval"),
            # A student without a level, as one trained without a teacher, is a group of its own.
            "group": None if axes.group is None else student["by"].get(axes.group, student["evaluation"]),
        }
        for student in students
    ]
    whole = [point for point in points if point["x"] is not None and point["y"] is not None]
    return {"x": axes.x, "y": axes.y, "group": axes.group, "points": whole}


def _answer(
    question: Question, students: Sequence[Mapping[str, Any]], evaluations: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    if question.test == "paired_t":
        assert question.against is not None
        return {"test": "paired_t", "y": question.y, "against": question.against} | _paired(
            question.y, question.against, evaluations
        )
    named = question.x if question.test == "spearman" else question.factor
    assert named is not None
    known = [
        (_value(student, named), _value(student, question.y))
        for student in students
        if _value(student, named) is not None and _value(student, question.y) is not None
    ]
    if question.test == "spearman":
        numbers = [(x, y) for x, y in known if isinstance(x, int | float)]
        result = rank_correlation([x for x, _ in numbers], [y for _, y in numbers])
        return {"test": "spearman", "y": question.y, "x": named} | result
    groups: dict[str, list[float]] = {}
    for level, value in known:
        groups.setdefault(_word(level), []).append(value)
    return {"test": "anova", "y": question.y, "factor": named} | one_way_anova(groups)


def _paired(y: str, against: str, evaluations: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    rows = {name: _rows(evaluation, y) for name, evaluation in evaluations.items()}
    pairs = []
    for name, own in rows.items():
        common = [row for row in own if row in rows[against]]
        if name != against and common:
            result = paired_t_test([own[row] for row in common], [rows[against][row] for row in common])
            pairs.append({"evaluation": name} | result | {"verdict": _verdict(y, result)})
    return {"pairs": pairs}


def _verdict(y: str, result: Mapping[str, Any]) -> str:
    better = MEASURES[y].better if y in MEASURES else ""
    difference = {"interval": result["interval"], "rows": result["n"]}
    return verdict(difference, higher_is_better=better == "higher") if better else "undecided"


def _rows(evaluation: Mapping[str, Any], measure: str) -> Mapping[str, float]:
    student = next((one["name"] for one in evaluation["subjects"] if one["role"] == "student"), None)
    found: Mapping[str, float] = evaluation.get("by_row", {}).get(measure, {}).get(student, {})
    return found


def _word(level: Level) -> str:
    return f"{level:g}" if isinstance(level, int | float) else level
