"""How loyal each student is to every teacher of an ensemble."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from limbeck.report.record import Record
from limbeck.report.words import between, number, percent

_Show = Callable[[float], str]

_OF_TOKENS: tuple[tuple[str, str, _Show], ...] = (
    ("Top-1 agreement ↑", "top1_agreement", percent),
    ("KL(teacher ‖ model), nats ↓", "forward_kl", number),
    ("Jensen-Shannon distance, 0 to 1 ↓", "js_distance", number),
)
_OF_CLASSES: tuple[tuple[str, str, _Show], ...] = (
    ("Label loyalty ↑", "label_loyalty", percent),
    ("Probability loyalty, 0 to 1 ↑", "probability_loyalty", number),
    ("KL(teacher ‖ model), nats ↓", "forward_kl", number),
    ("Regression loyalty ↑", "regression_loyalty", number),
)


@dataclass(frozen=True)
class LoyaltyLine:
    """One measure of one student: a value and its interval against each teacher."""

    student: str
    label: str
    cells: list[tuple[str, str]]


@dataclass(frozen=True)
class Loyalty:
    """The table: teachers, the ensemble first, and the lines."""

    teachers: list[str]
    lines: list[LoyaltyLine]


def loyalty(record: Record) -> Loyalty | None:
    """Students against the ensemble and each of its members; None with a single teacher."""
    members = [subject["name"] for subject in record.subjects if subject["role"] == "member"]
    if not members:
        return None
    lines = []
    for metric, measures in (("fidelity", _OF_TOKENS), ("classification", _OF_CLASSES)):
        for student in (one["name"] for one in record.subjects if one["role"] in ("student", "baseline")):
            measured = record.measured(metric, student)
            if not measured.get("members"):
                continue
            against = [
                measured.get("overall", measured),
                *(measured["members"].get(name, {}) for name in members),
            ]
            lines += [
                LoyaltyLine(student, label, [_cell(one.get(key), show) for one in against])
                for label, key, show in measures
                if any(one.get(key) for one in against)
            ]
    return Loyalty([record.named("teacher") or "teacher", *members], lines) if lines else None


def _cell(estimate: dict[str, Any] | None, show: _Show) -> tuple[str, str]:
    if not estimate or estimate.get("value") is None:
        return "–", ""
    return show(estimate["value"]), between(estimate, show)
