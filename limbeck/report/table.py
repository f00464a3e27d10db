"""The main table: one line a measure, one column a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from limbeck.report.record import Record
from limbeck.report.signs import below_chance, repeating
from limbeck.report.verdict import decided
from limbeck.report.words import between, count, number, percent


@dataclass(frozen=True)
class Measure:
    """A line of the table: where its value lies, how it is shown, which direction is better."""

    label: str
    metric: str
    path: tuple[str, ...]
    show: Callable[[float], str]
    better: str = ""  # higher, lower, or neither


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


MEASURES = (
    Measure("Bits per byte", "perplexity", ("bits_per_byte",), number, "lower"),
    Measure("Nats per token", "perplexity", ("nats_per_token",), number, "lower"),
    Measure("Accuracy", "classification", ("accuracy",), percent, "higher"),
    Measure("Macro F1", "classification", ("macro_f1",), number, "higher"),
    Measure("Correlation with the labels", "classification", ("pearson",), number, "higher"),
    Measure("Top-1 agreement with the teacher", "fidelity", ("overall", "top1_agreement"), percent, "higher"),
    Measure("KL(teacher ‖ model), nats", "fidelity", ("overall", "forward_kl"), number, "lower"),
    Measure("KL(model ‖ teacher), nats", "fidelity", ("overall", "reverse_kl"), number, "lower"),
    Measure("Jensen-Shannon distance, 0 to 1", "fidelity", ("overall", "js_distance"), number, "lower"),
    Measure("Label loyalty", "classification", ("label_loyalty",), percent, "higher"),
    Measure("Probability loyalty, 0 to 1", "classification", ("probability_loyalty",), number, "higher"),
    Measure("KL(teacher ‖ model), nats", "classification", ("forward_kl",), number, "lower"),
    Measure("Regression loyalty", "classification", ("regression_loyalty",), number, "higher"),
    Measure("Order of sentence pairs, Spearman", "similarity", ("pair_order",), number, "higher"),
    Measure("Cosine to the teacher", "similarity", ("cosine",), number, "higher"),
    Measure("Agreement with human scores, Spearman", "similarity", ("human",), number, "higher"),
    Measure("Task", "generation", ("task",), percent, "higher"),
    Measure("Repeated sequences of four tokens", "generation", ("repetition",), percent, "lower"),
    Measure("Stopped at EOS", "generation", ("stopped",), percent),
    Measure("Length, tokens", "generation", ("length",), number),
    Measure("Calibration error (ECE)", "calibration", ("ece",), percent, "lower"),
    Measure("Decode, tokens per second", "speed", ("generated_tokens_per_second",), number, "higher"),
    Measure("Prefill, tokens per second", "speed", ("forward_tokens_per_second",), number, "higher"),
)
_COMPETING = ("student", "baseline")
_OFTEN_EQUAL = ("stopped", "length")
_COMPARED = ("task", "accuracy", "bits_per_byte", "top1_agreement", "forward_kl")
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
    for measure in MEASURES:
        found = [_estimate(record, measure, subject["name"]) for subject in subjects]
        if _says_something(measure, found):
            lines.append(_line(record, measure, found))
        if measure.path == ("task",) and (null := _null(record)) is not None:
            cell = Cell(percent(null["value"]), between(null, percent))
            lines.append(Line("The same by a constant text", "", f"{null['n']:,}", [cell] * len(subjects)))
    return lines


def _says_something(measure: Measure, found: list[dict[str, Any] | None]) -> bool:
    """Not where no model has it, or where all texts were cut at the same length."""
    values = [estimate["value"] for estimate in found if estimate is not None]
    return bool(values) and (measure.path[-1] not in _OFTEN_EQUAL or len(set(values)) > 1)


def _null(record: Record) -> dict[str, Any] | None:
    passed: dict[str, Any] | None = record.metric("generation").get("task", {}).get("null", {}).get("passed")
    return passed


def _line(record: Record, measure: Measure, found: list[dict[str, Any] | None]) -> Line:
    best = _winner(record, measure, found)
    cells = [
        Cell()
        if estimate is None
        else Cell(
            measure.show(estimate["value"]),
            _interval(estimate, measure),
            _tone(record, measure, subject, best),
        )
        for estimate, subject in zip(found, record.subjects, strict=True)
    ]
    sizes = {estimate["n"] for estimate in found if estimate is not None}
    label = measure.label
    if measure.path == ("task",):
        label = TASK_LABELS.get(record.metric("generation")["task"]["name"], label)
    return Line(label, measure.better, f"{max(sizes):,}", cells)


def _tone(record: Record, measure: Measure, subject: dict[str, Any], best: str | None) -> str:
    if measure.path == ("repetition",) and subject["name"] == record.named("student") and repeating(record):
        return "bad"
    if measure.path == ("accuracy",) and subject["role"] == "teacher" and below_chance(record):
        return "bad"
    return "best" if subject["name"] == best else ""


def _winner(record: Record, measure: Measure, found: list[dict[str, Any] | None]) -> str | None:
    """Who is the best of students and baselines beyond doubt; None while that is open.

    A comparison of these rows says so where there is one, and counts only if it matters; else intervals
    (of speeds: the ranges of the runs) that do not overlap. Speeds in different tokens are no race.
    """
    competing = [
        (estimate, subject["name"])
        for estimate, subject in zip(found, record.subjects, strict=True)
        if estimate is not None and subject["role"] in _COMPETING
    ]
    if not measure.better or len(competing) < 2 or (measure.metric == "speed" and _differ(record)):
        return None
    ranked = sorted(competing, key=lambda one: one[0]["value"], reverse=measure.better == "higher")
    first, second = ranked[:2]
    if measure.path[-1] == "task" and (null := _null(record)) and first[0]["value"] <= null["value"]:
        return None
    if measure.path[-1] in _COMPARED and len(competing) == 2 and record.named("baseline"):
        said = decided(record, measure.path[-1])
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
    if "low" in estimate:  # of timings, the fastest and slowest run
        return f"{measure.show(estimate['low'])} to {measure.show(estimate['high'])}"
    return between(estimate, measure.show)


def _estimate(record: Record, measure: Measure, subject: str) -> dict[str, Any] | None:
    value: Any = record.measured(measure.metric, subject)
    for key in measure.path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) and value.get("value") is not None else None
