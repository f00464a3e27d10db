"""What the student kept, in sentences that the numbers bear out, lost comparisons included."""

from typing import Any

from limbeck.report.record import Record
from limbeck.report.words import between, number, percent, points

_LEADING = ("task", "accuracy", "bits_per_byte", "top1_agreement", "forward_kl")
_DIFFERENCES = {
    "task": "the share of prompts that pass the task",
    "accuracy": "accuracy",
    "bits_per_byte": "bits per byte of held-out text",
    "top1_agreement": "agreement with the teacher's likeliest token",
    "forward_kl": "KL divergence from the teacher, in nats",
}
FEWEST_ROWS = 10
"""Below so many rows an evaluation gives no verdict (`limbeck.evaluation.statistics`)."""
_LOWER_IS_BETTER = ("bits_per_byte", "forward_kl")


def headline(record: Record) -> str:
    """One sentence: what the (first) student kept of the teacher; empty without a student."""
    student, teacher = record.named("student"), record.named("teacher")
    if student is None:
        return ""
    kept = _kept(record, student)
    size = _size(record, student, teacher)
    if not kept:
        return f"The student was evaluated without a measure against a teacher{size and ';'} {size}".strip()
    return f"{f'With {size}, the' if size else 'The'} student {kept}."


def comparisons(record: Record) -> list[dict[str, str]]:
    """Each comparison of a student with a baseline: a sentence and its verdict, the weightiest first."""
    found: list[dict[str, Any]] = [
        entry
        for metric in record.evaluation.get("metrics", {}).values()
        for entry in metric.get("comparisons", [])
    ]
    order = {name: place for place, name in enumerate(_LEADING)}
    found.sort(key=lambda entry: order.get(entry["measure"], len(order)))
    return [{"text": _sentence(entry), "verdict": entry["verdict"]} for entry in found]


def how_many(found: list[dict[str, str]]) -> str:
    """How often verdicts of so many comparisons come about by chance; empty with fewer than two."""
    if len(found) < 2:
        return ""
    return (
        f"{len(found)} comparisons at 95 %, not corrected for their number: of 20 such comparisons of equal "
        "models, one gives a verdict by chance."
    )


def gap_closed(record: Record) -> str:
    """The share of the way from baseline to teacher that the student went, in bits per byte."""
    values = {
        role: record.measured("perplexity", record.named(role)).get("bits_per_byte", {}).get("value")
        for role in ("teacher", "student", "baseline")
    }
    if any(value is None for value in values.values()) or values["baseline"] <= values["teacher"]:
        return ""
    share = (values["baseline"] - values["student"]) / (values["baseline"] - values["teacher"])
    if share < 0:
        return f"In bits per byte it lies {percent(-share)} of the gap to the teacher behind the baseline."
    return f"In bits per byte it closes {percent(share)} of the gap between the baseline and the teacher."


def _kept(record: Record, student: str) -> str:
    agreement = record.measured("fidelity", student).get("overall", {}).get("top1_agreement")
    if agreement:
        return (
            f"finds the same next token likeliest as the teacher at {_with_interval(agreement)} of positions"
        )
    measured = record.measured("classification", student)
    if "label_loyalty" in measured:
        return f"gives the teacher's label to {_with_interval(measured['label_loyalty'])} of examples"
    loyalty = measured.get("regression_loyalty") or {}
    if loyalty.get("value") is not None:
        return f"gives outputs that correlate with the teacher's at {number(loyalty['value'])}"
    order = record.measured("similarity", student).get("pair_order") or {}
    if order.get("value") is not None:
        bounds = between(order, number)
        return f"orders sentence pairs as the teacher does with Spearman {number(order['value'])}" + (
            f" ({bounds})" if bounds else ""
        )
    teacher = record.named("teacher")
    if teacher and any(subject.get("own_tokens") for subject in record.subjects):
        bits = [record.measured("perplexity", name).get("bits_per_byte") for name in (student, teacher)]
        known = [estimate for estimate in bits if estimate]
        if len(known) == 2:
            own, other = (number(estimate["value"]) for estimate in known)
            return f"needs {own} bits per byte of held-out text in its own tokens, the teacher {other}"
    return ""


def _size(record: Record, student: str, teacher: str | None) -> str:
    sizes = {subject["name"]: subject.get("parameters") for subject in record.subjects}
    mine, theirs = sizes.get(student), sizes.get(teacher or "")
    return f"{percent(mine / theirs)} of the teacher's parameters" if mine and theirs else ""


def _with_interval(estimate: dict[str, Any]) -> str:
    bounds = between(estimate, percent)
    return percent(estimate["value"]) + (f" ({bounds})" if bounds else "")


def _sentence(entry: dict[str, Any]) -> str:
    measure, change = entry["measure"], entry["difference"]
    show = points if measure in ("task", "accuracy", "top1_agreement") else number
    what = _DIFFERENCES.get(measure, measure)
    bounds = between(change, lambda value: _signed(value, show))
    by = f"{_signed(change['value'], show)}" + (f", 95 % interval {bounds}" if bounds else "")
    lower = measure in _LOWER_IS_BETTER
    direction = "lower is better" if lower else "higher is better"
    student, baseline = _called(entry["student"], "student"), _called(entry["baseline"], "baseline")
    subject = student[0].upper() + student[1:]
    measured = f"{what} (difference {by}; {direction})"
    if entry["verdict"] == "undecided" and 0 < change["rows"] < FEWEST_ROWS:
        return f"{change['rows']} rows are too few to tell {student} from {baseline} in {measured}."
    if entry["verdict"] == "undecided":
        return f"{subject} and {baseline} cannot be told apart in {measured}."
    return f"{subject} is {entry['verdict']} than {baseline} in {measured}."


def _called(name: str, role: str) -> str:
    return f"the {name}" if name == role else name


def _signed(value: float, show: Any) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{show(abs(value))}"
