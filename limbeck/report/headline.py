"""Each comparison of a student with a baseline in one sentence, lost and empty ones included."""

from typing import Any

from limbeck.core.measures import MEASURES
from limbeck.report.record import Record
from limbeck.report.verdict import FEWEST_ROWS, Finding, negligible
from limbeck.report.words import between, number, points

_LEADING = ("task", "accuracy", "bits_per_byte", "top1_agreement", "forward_kl")


def comparisons(record: Record) -> list[Finding]:
    """Each comparison of a student with a baseline: a sentence and its verdict, the weightiest first."""
    found: list[dict[str, Any]] = [
        entry
        for metric in record.evaluation.get("metrics", {}).values()
        for entry in metric.get("comparisons", [])
    ]
    order = {name: place for place, name in enumerate(_LEADING)}
    found.sort(key=lambda entry: order.get(entry["measure"], len(order)))
    return [_told(record, entry) for entry in found]


def how_many(found: list[Finding]) -> str:
    """How often verdicts of so many comparisons come about by chance; empty with fewer than two."""
    if len(found) < 2:
        return ""
    return (
        f"{len(found)} comparisons at 95 %, not corrected for their number: of 20 such comparisons of equal "
        "models, one gives a verdict by chance."
    )


def _told(record: Record, entry: dict[str, Any]) -> Finding:
    measure, change = entry["measure"], entry["difference"]
    show = points if MEASURES[measure].form == "share" else number
    what = MEASURES[measure].difference
    bounds = between(change, lambda value: _signed(value, show))
    by = f"{_signed(change['value'], show)}" + (f", 95 % interval {bounds}" if bounds else "")
    direction = f"{MEASURES[measure].better} is better"
    student, baseline = _called(entry["student"], "student"), _called(entry["baseline"], "baseline")
    measured = f"{what} (difference {by}; {direction})"
    verdict = str(entry["verdict"])
    if verdict == "undecided" and 0 < change["rows"] < FEWEST_ROWS:
        text = f"{change['rows']} rows are too few to tell {student} from {baseline} on {measured}."
    elif verdict == "undecided":
        text = f"{student} and {baseline} cannot be told apart on {measured}."
    elif (share := negligible(record, measure)) is not None:
        verdict, sign = "undecided", "ahead of" if verdict == "better" else "behind"
        text = f"{student} is {sign} {baseline} by too little to matter ({share} of the gap) on {measured}."
    else:
        beats = "beats" if verdict == "better" else "is worse than"
        text = f"{student} {beats} {baseline} on {measured}."
    return {"text": text[0].upper() + text[1:], "verdict": verdict}


def _called(name: str, role: str) -> str:
    return f"the {name}" if name == role else name


def _signed(value: float, show: Any) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{show(abs(value))}"
