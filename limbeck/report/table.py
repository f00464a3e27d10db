"""The main table: one line a measure, one column a model."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from limbeck.report.record import Record
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
    """A value, its interval and whether it is the best among students and baselines."""

    text: str = "–"
    interval: str = ""
    best: bool = False


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
    Measure(
        "Same likeliest token as the teacher", "fidelity", ("overall", "top1_agreement"), percent, "higher"
    ),
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
    Measure("Ended by itself", "generation", ("stopped",), percent),
    Measure("Length, tokens", "generation", ("length",), number),
    Measure("Calibration error (ECE)", "calibration", ("ece",), percent, "lower"),
    Measure("Tokens written per second", "speed", ("generated_tokens_per_second",), number, "higher"),
    Measure("Tokens read per second", "speed", ("forward_tokens_per_second",), number, "higher"),
)
_COMPETING = ("student", "baseline")
TASK_LABELS = {"python_syntax": "Python without a syntax error", "exact_match": "Exact answers"}


def main_table(record: Record) -> list[Line]:
    """The lines whose measure at least one model has; parameters first."""
    subjects = record.subjects
    if not subjects:
        return []
    lines = [Line("Parameters", "", "", [Cell(count(subject.get("parameters", 0))) for subject in subjects])]
    for measure in MEASURES:
        found = [_estimate(record, measure, subject["name"]) for subject in subjects]
        if any(estimate is not None for estimate in found):
            lines.append(_line(record, measure, found))
    return lines


def _line(record: Record, measure: Measure, found: list[dict[str, Any] | None]) -> Line:
    competing = [
        estimate["value"]
        for estimate, subject in zip(found, record.subjects, strict=True)
        if estimate is not None and subject["role"] in _COMPETING
    ]
    best: float | None = None
    # Timings scatter: none is the best while the ranges of the runs overlap.
    # Tokens a second of different tokenizers are no race.
    is_clear = measure.metric != "speed" or (_apart(record, found) and not _differ(record))
    if measure.better and len(set(competing)) > 1 and is_clear:
        best = max(competing) if measure.better == "higher" else min(competing)
    cells = [
        Cell()
        if estimate is None
        else Cell(
            measure.show(estimate["value"]),
            _interval(estimate, measure),
            best is not None and subject["role"] in _COMPETING and estimate["value"] == best,
        )
        for estimate, subject in zip(found, record.subjects, strict=True)
    ]
    sizes = {estimate["n"] for estimate in found if estimate is not None}
    label = measure.label
    if measure.path == ("task",):
        label = TASK_LABELS.get(record.metric("generation")["task"]["name"], label)
    return Line(label, measure.better, f"{max(sizes):,}", cells)


def _differ(record: Record) -> bool:
    return any(subject.get("own_tokens") and subject["role"] != "teacher" for subject in record.subjects)


def _apart(record: Record, found: list[dict[str, Any] | None]) -> bool:
    ranges = sorted(
        (estimate["low"], estimate["high"])
        for estimate, subject in zip(found, record.subjects, strict=True)
        if estimate is not None and subject["role"] in _COMPETING
    )
    return all(one[1] < other[0] for one, other in pairwise(ranges))


def _interval(estimate: dict[str, Any], measure: Measure) -> str:
    if "low" in estimate:  # of timings, the fastest and slowest run
        return f"{measure.show(estimate['low'])} to {measure.show(estimate['high'])}"
    return between(estimate, measure.show)


def _estimate(record: Record, measure: Measure, subject: str) -> dict[str, Any] | None:
    value: Any = record.measured(measure.metric, subject)
    for key in measure.path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) and value.get("value") is not None else None
