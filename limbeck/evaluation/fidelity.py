"""How closely each student follows the teacher's distribution."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from limbeck.core.errors import ConfigError
from limbeck.evaluation.data import Array, EvaluationData, Predictions, Units
from limbeck.evaluation.statistics import bucket, compared

DEFINITION = (
    "Means over the target positions of the held-out rows, against the teacher at temperature 1. Top-1 "
    "agreement: both find the same token likeliest. Top-5 overlap: share of the teacher's five likeliest "
    "tokens among the student's five. KL in nats. JS distance: square root of the base-2 Jensen-Shannon "
    "divergence of each position, from 0 (equal) to 1 (disjoint). Intervals: 95 %, over rows."
)

POSITION_EDGES = (16, 64, 256, 1024)
LENGTH_EDGES = (64, 256, 1024)  # tokens in the loss of a row
SLICE_COLUMNS = ("domain", "source", "slice")
_MOST_SLICES = 12
_ENTROPY_BUCKETS = 4  # quarters of the positions, so that no bucket is thin
_SLICED = ("top1_agreement", "forward_kl", "reverse_kl")

ABILITY = "scores_tokens"
TEACHER = "needed"
MEASURES = {
    "top1_agreement": {
        "path": ("overall", "top1_agreement"),
        "label": "top-1 agreement with the teacher",
        "heading": "top-1 agreement",
        "form": "share",
        "better": "higher",
        "difference": "top-1 agreement with the teacher",
        "of_teacher": True,
        "rank": 30,
    },
    "forward_kl": {
        "path": ("overall", "forward_kl"),
        "label": "KL(teacher ‖ model), nats",
        "heading": "KL to teacher",
        "better": "lower",
        "difference": "KL divergence from the teacher, in nats",
        "of_teacher": True,
        "rank": 42,
    },
    "reverse_kl": {
        "path": ("overall", "reverse_kl"),
        "label": "KL(model ‖ teacher), nats",
        "better": "lower",
        "of_teacher": True,
        "rank": 43,
    },
    "js_distance": {
        "path": ("overall", "js_distance"),
        "label": "Jensen-Shannon distance, 0 to 1",
        "better": "lower",
        "compared": False,
        "rank": 44,
    },
}


def fidelity(evidence: EvaluationData) -> dict[str, Any]:
    """Top-1 agreement, top-5 overlap, KL both ways and JS distance to the teacher, overall and by slice."""
    teacher = evidence.teacher
    if teacher is None or not evidence.students:
        raise ConfigError(
            "fidelity must have a teacher and a student to compare, got "
            f"{[subject.role for subject in evidence.subjects]}. Name a teacher, or leave fidelity out."
        )
    units = evidence.units
    guide = units.judged[teacher.name]
    right = guide.prediction == units.target
    slices = _slices(evidence, units, guide)
    subjects = {}
    values = {}
    for student in evidence.students:
        values[student.name] = measures(units.judged[student.name], guide)
        overall = {name: units.rows.mean(value) for name, value in values[student.name].items()}
        agreement = values[student.name]["top1_agreement"]
        for name in _SLICED:
            totals, ones = units.rows.sums(values[student.name][name]), np.ones(len(units))
            evidence.keep(name, student.name, units.ids, totals, units.rows.sums(ones))
        subjects[student.name] = {
            "overall": overall,
            **_to_members(evidence, units, student.name),
            "top1_agreement_where_teacher_is_right": units.rows.mean(agreement, right),
            "top1_agreement_where_teacher_is_wrong": units.rows.mean(agreement, ~right),
            "slices": {
                what: [
                    {"slice": label}
                    | {name: units.rows.mean(values[student.name][name], where) for name in _SLICED}
                    for label, where in parts
                ]
                for what, parts in slices.items()
            },
        }
    comparisons = [
        _compared(units, values, measure, student.name, baseline.name)
        for student, baseline in evidence.pairs
        if student.name in values and baseline.name in values
        for measure in ("top1_agreement", "forward_kl")
    ]
    return {
        "definition": DEFINITION,
        "teacher": teacher.name,
        "teacher_top1_accuracy": units.rows.mean(right),
        "subjects": subjects,
        "comparisons": comparisons,
    }


def _to_members(evidence: EvaluationData, units: Units, student: str) -> dict[str, Any]:
    """The measures of a student against each teacher of an ensemble; nothing without one."""
    judged, found = units.judged[student], {}
    for name, distances in judged.to_members.items():
        against = replace(judged, to_members={}, **distances._asdict())
        values = measures(against, units.judged[name])
        found[name] = {measure: units.rows.mean(value) for measure, value in values.items()}
    return {"members": found} if found else {}


def measures(student: Predictions, teacher: Predictions) -> dict[str, Array]:
    """Each measure at every unit [N]."""
    assert student.forward_kl is not None and student.reverse_kl is not None
    assert student.js_distance is not None and student.top5 is not None
    return {
        "top1_agreement": (student.prediction == teacher.prediction).astype(np.float64),
        "top5_overlap": student.top5,
        "forward_kl": student.forward_kl,
        "reverse_kl": student.reverse_kl,
        "js_distance": student.js_distance,
    }


def _compared(
    units: Units, values: dict[str, dict[str, Array]], measure: str, student: str, baseline: str
) -> dict[str, Any]:
    ones = units.rows.sums(np.ones(len(units)))
    change = units.rows.difference(
        (units.rows.sums(values[student][measure]), ones), (units.rows.sums(values[baseline][measure]), ones)
    )
    return compared(measure, student, baseline, change, higher_is_better=measure == "top1_agreement")


def _slices(
    evidence: EvaluationData, units: Units, teacher: Predictions
) -> dict[str, list[tuple[str, Array]]]:
    """What is sliced -> label and mask [N] of every slice that holds a position."""
    found = {"position": _cut(units.place, POSITION_EDGES)}
    assert teacher.entropy is not None
    edges = np.unique(
        np.quantile(teacher.entropy, np.arange(1, _ENTROPY_BUCKETS) / _ENTROPY_BUCKETS).round(3)
    )
    found["teacher_entropy"] = _cut(teacher.entropy, edges.tolist())
    lengths = np.bincount(units.rows.row)[units.rows.row]
    found["row_length"] = _cut(lengths, LENGTH_EDGES)
    rows = [evidence.rows.get(row, {}) for row in units.ids]
    column = next((name for name in SLICE_COLUMNS if any(row.get(name) is not None for row in rows)), None)
    if column is not None:
        names = [str(row.get(column, "")) for row in rows]
        common = [name for name, _ in Counter(names).most_common(_MOST_SLICES)]
        of_unit = np.array([name if name in common else "other" for name in names], dtype=object)[
            units.rows.row
        ]
        labels = sorted(common) + (["other"] if len(set(names)) > len(common) else [])
        found[column] = [(label, of_unit == label) for label in labels]
    return found


def _cut(values: Array, edges: tuple[float, ...] | list[float]) -> list[tuple[str, Array]]:
    index = bucket(values, edges)
    whole = all(float(edge).is_integer() for edge in edges) and np.issubdtype(values.dtype, np.integer)
    parts = []
    for place in range(len(edges) + 1):
        where = index == place
        if where.any():
            low, high = (0, *edges)[place], edges[place] if place < len(edges) else None
            parts.append((_label(low, high, whole=whole), where))
    return parts


def _label(low: float, high: float | None, *, whole: bool) -> str:
    if high is None:
        return f"{low:g} and more"
    return f"{low:g} to {high - 1:g}" if whole else f"{low:g} to {high:g}"
