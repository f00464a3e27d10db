"""The main table: one line a measure, one column a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from limbeck.core.measures import MEASURES, Measure
from limbeck.report.record import Record
from limbeck.report.signs import below_chance, repeating
from limbeck.report.verdict import decided
from limbeck.report.words import between, count, number, percent


@dataclass(frozen=True)
class Cell:
    """A value, its interval, and `best` or `bad` where it deserves a colour."""

    text: str = "–"
    interval: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Line:
    """A measure with its cells, in the order of the subjects."""

    label: str
    better: str
    n: str
    cells: list[Cell]


_COMPETING = ("student", "baseline")
_OFTEN_EQUAL = ("stopped", "length")
TASK_LABELS = {
    "python_syntax": "Python without a syntax error",
    "exact_match": "Exact answers",
    "final_answer": "Right final answers",
}


def main_table(record: Record) -> list[Line]:
    """The lines whose measure at least one model has; parameters first."""
    subjects = record.subjects
    if not subjects:
        return []
    lines = [Line("Parameters", "", "", [Cell(count(subject.get("parameters", 0))) for subject in subjects])]
    for name, measure in MEASURES.items():
        found = [measure.of(record.evaluation, subject["name"]) for subject in subjects]
        if measure.label and _says_something(name, found):
            lines.append(_line(record, name, found))
        if name == "task" and (null := _null(record)) is not None:
            cell = Cell(percent(null["value"]), between(null, percent))
            lines.append(Line("The same by a constant text", "", f"{null['n']:,}", [cell] * len(subjects)))
    return lines


def _says_something(name: str, found: list[dict[str, Any] | None]) -> bool:
    """Not where no model has it, or where all texts were cut at the same length."""
    values = [estimate["value"] for estimate in found if estimate is not None]
    return bool(values) and (name not in _OFTEN_EQUAL or len(set(values)) > 1)


def _null(record: Record) -> dict[str, Any] | None:
    passed: dict[str, Any] | None = record.metric("generation").get("task", {}).get("null", {}).get("passed")
    return passed


def _line(record: Record, name: str, found: list[dict[str, Any] | None]) -> Line:
    measure, best = MEASURES[name], _winner(record, name, found)
    cells = [
        Cell()
        if estimate is None
        else Cell(
            _show(measure)(estimate["value"]),
            _interval(estimate, measure),
            _tone(record, name, subject, best),
        )
        for estimate, subject in zip(found, record.subjects, strict=True)
    ]
    sizes = {estimate["n"] for estimate in found if estimate is not None}
    label = measure.title
    if name == "task":
        label = TASK_LABELS.get(record.metric("generation")["task"]["name"], label)
    return Line(label, measure.better, f"{max(sizes):,}", cells)


def _tone(record: Record, name: str, subject: dict[str, Any], best: str | None) -> str:
    if name == "repetition" and subject["name"] == record.named("student") and repeating(record):
        return "bad"
    if name == "accuracy" and subject["role"] == "teacher" and below_chance(record):
        return "bad"
    return "best" if subject["name"] == best else ""


def _winner(record: Record, name: str, found: list[dict[str, Any] | None]) -> str | None:
    """Who is the best of students and baselines beyond doubt; None while that is open.

    A comparison of these rows says so where there is one, and counts only if it matters; else intervals
    (of speeds: the ranges of the runs) that do not overlap. Speeds in different tokens are no race.
    """
    measure = MEASURES[name]
    competing = [
        (estimate, subject["name"])
        for estimate, subject in zip(found, record.subjects, strict=True)
        if estimate is not None and subject["role"] in _COMPETING
    ]
    if not measure.better or len(competing) < 2 or (measure.places[0][0] == "speed" and _differ(record)):
        return None
    ranked = sorted(competing, key=lambda one: one[0]["value"], reverse=measure.better == "higher")
    first, second = ranked[:2]
    if name == "task" and (null := _null(record)) and first[0]["value"] <= null["value"]:
        return None
    if measure.difference and len(competing) == 2 and record.named("baseline"):
        said = decided(record, name)
        pair = {"better": record.named("student"), "worse": record.named("baseline")}
        return pair.get(said)
    return first[1] if _apart(first[0], second[0]) else None


def _differ(record: Record) -> bool:
    return any(subject.get("own_tokens") and subject["role"] != "teacher" for subject in record.subjects)


def _apart(one: dict[str, Any], other: dict[str, Any]) -> bool:
    ranges = sorted(
        (estimate["low"], estimate["high"]) if "low" in estimate else tuple(estimate["interval"] or ())
        for estimate in (one, other)
    )
    return all(ranges) and bool(ranges[0][1] < ranges[1][0])


def _interval(estimate: dict[str, Any], measure: Measure) -> str:
    show = _show(measure)
    if "low" in estimate:  # of timings, the fastest and slowest run
        return f"{show(estimate['low'])} to {show(estimate['high'])}"
    return between(estimate, show)


def _show(measure: Measure) -> Callable[[float], str]:
    return percent if measure.form == "share" else number
