"""The verdict on a run for someone who reads one sentence: what was kept, how small and fast, what next."""

from collections.abc import Mapping
from typing import Any

from limbeck.core.measures import MEASURES
from limbeck.report.record import Record
from limbeck.report.signs import below_chance, falling, learning_rate, repeating, rising
from limbeck.report.words import between, count, number, percent

LITTLE = 0.05
"""Of the gap to the teacher: less than that is no difference that matters, however sure it is."""
FEWEST_ROWS = 10
"""Below so many rows an evaluation gives no verdict (`limbeck.evaluation.statistics`)."""

_WRITING = ("elicit", "generate")  # kinds of step in which a teacher writes

_CLOSE, _HALF = 0.9, 0.5  # of the gap

Finding = dict[str, str]
"""`text`, and `verdict`: better, worse or undecided."""


def lead(record: Record) -> str:
    """One sentence or two: how much of the gap between baseline and teacher the student closed."""
    student = record.named("student")
    if student is None:
        return ""
    name = leading_measure(record)
    if name is None:
        quality = _quality(record)
        return f"Of the student: {quality}." if quality else _unmeasured(record)
    said = _against(record, name)
    if rising(record):
        return f"{said} The loss rose again before the end of training: lower the learning rate."
    return (
        f"{said} The loss was still falling at the end of training: train longer."
        if falling(record)
        else said
    )


def _unmeasured(record: Record) -> str:
    made = [f"`{step.get('out')}`" for step in record.steps if step.get("kind") in _WRITING]
    if not made:
        return "The student was not measured against a teacher."
    return (
        f"The student learnt from what a teacher wrote ({', '.join(made)}); the teacher itself was not "
        "scored, so the baseline is what it is measured against."
    )


def leading_measure(record: Record) -> str | None:
    """The first leading measure that student and teacher both have: accuracy, bits per byte."""
    leading = [name for name, measure in MEASURES.items() if measure.leads]
    found = [name for name in leading if value(record, name, "student") is not None]
    return next((name for name in found if value(record, name, "teacher") is not None), None)


def value(record: Record, measure: str, role: str) -> float | None:
    """The value of a measure of the first subject in a role."""
    subject = record.named(role)
    found = None if subject is None else MEASURES[measure].of(record.evaluation, subject)
    return None if found is None else float(found["value"])


def gap_closed(record: Record, measure: str) -> float | None:
    """The share of the way from baseline to teacher that the student went; None without such a way.

    An agreement with the teacher leads to 1 and a divergence from it to 0, where the teacher itself is.
    """
    student, baseline = value(record, measure, "student"), value(record, measure, "baseline")
    ideal = {"top1_agreement": 1.0, "forward_kl": 0.0}.get(measure, value(record, measure, "teacher"))
    if student is None or baseline is None or ideal is None:
        return None
    way = ideal - baseline
    is_up = MEASURES[measure].better == "higher"
    return None if way == 0 or (way > 0) != is_up else (student - baseline) / way


def negligible(record: Record, measure: str) -> str | None:
    """The share of the gap to the teacher in words where it is too small to matter; else None."""
    gap = gap_closed(record, measure) if measure in MEASURES else None
    return percent(abs(gap)) if gap is not None and abs(gap) < LITTLE else None


def decided(record: Record, measure: str) -> str:
    """The verdict of student against baseline; undecided where the difference is too small to matter."""
    pair = (record.named("student"), record.named("baseline"))
    for metric in record.evaluation.get("metrics", {}).values():
        for entry in metric.get("comparisons", []):
            if entry["measure"] == measure and (entry["student"], entry["baseline"]) == pair:
                return "undecided" if negligible(record, measure) else str(entry["verdict"])
    return "undecided"


def findings(record: Record) -> list[Finding]:
    """What nobody should overlook: a teacher below chance, a student that repeats itself."""
    found = []
    if chance := below_chance(record):
        found.append({"text": chance, "verdict": "worse"})
    if repeats := repeating(record):
        found.append({"text": repeats, "verdict": "worse"})
    return found


def facts(record: Record) -> list[tuple[str, str]]:
    """Size, speed and quality kept, each in words."""
    found = [("Size", _size(record)), ("Speed", _speed(record)), ("Quality kept", _quality(record))]
    return [(title, text) for title, text in found if text]


def next_steps(record: Record) -> list[str]:
    """What to do next, the weightiest first."""
    if record.named("student") is None:
        return []
    name = leading_measure(record)
    gap = None if name is None else gap_closed(record, name)
    steps = []
    if below_chance(record):
        steps.append(
            "Check that the teacher's classes are in the order of the labels; nothing counts before."
        )
    rate = learning_rate(record)
    now = f" (it was {rate:g})" if rate else ""
    if rising(record):
        steps.append(
            f"Lower `learning_rate`{now}: the loss rose again before the end, so the training was unstable."
        )
    elif falling(record):
        steps.append("Train longer: raise `max_steps` or `num_train_epochs`; the loss was still falling.")
    elif gap is not None and gap < _HALF:
        steps.append(
            f"Try another learning rate{now} or a larger student: the loss no longer falls clearly, far "
            "from the teacher."
        )
    if repeating(record):
        steps.append(
            "Read the samples before anything else: greedy texts loop. Longer training, sampling or "
            "on-policy methods (`gkd`, `distillm`) are the usual remedies."
        )
    rows = record.evaluation.get("data", {}).get("rows", 0)
    if 0 < rows < FEWEST_ROWS:
        steps.append(f"Hold out more rows: {rows} are too few for any verdict.")
    if record.named("baseline") is None and record.named("teacher") is not None:
        steps.append(
            "Train a baseline (no teacher): without it you cannot tell what the teacher contributed."
        )
    return steps


def _against(record: Record, name: str) -> str:
    label = MEASURES[name].label
    show = percent if MEASURES[name].form == "share" else number
    student, teacher = value(record, name, "student"), value(record, name, "teacher")
    baseline, gap = value(record, name, "baseline"), gap_closed(record, name)
    assert student is not None and teacher is not None
    if baseline is None:
        return (
            f"The student has {label} {show(student)}, the teacher {show(teacher)}; no baseline was trained, "
            "so what the teacher contributed is not known."
        )
    numbers = f"({label}: student {show(student)}, baseline {show(baseline)}, teacher {show(teacher)})"
    if gap is None:
        return f"The teacher is no better than the baseline, so there is no gap to close {numbers}."
    if decided(record, name) == "undecided":
        equal = (
            "made no difference that matters" if abs(gap) < LITTLE else "made no difference that can be shown"
        )
        return f"The student is no better than the baseline: the teacher {equal} {numbers}."
    if gap < 0:
        return f"The student is worse than the baseline (no teacher) {numbers}."
    distance = (
        "is close to the teacher"
        if gap >= _CLOSE
        else "has come more than half of the way"
        if gap >= _HALF
        else "is still far from the teacher"
    )
    closed = f"closes {100 * gap:.0f} % of the gap between the baseline (no teacher) and the teacher"
    return f"The student {closed} and {distance} {numbers}."


def _size(record: Record) -> str:
    sizes = {subject["role"]: subject.get("parameters") for subject in reversed(record.subjects)}
    own, other = sizes.get("student"), sizes.get("teacher")
    if not own or not other:
        return ""
    return f"{percent(own / other)} of the teacher's parameters ({count(own)} of {count(other)})"


def _speed(record: Record) -> str:
    if any(subject.get("own_tokens") for subject in record.subjects):
        return ""  # their tokens are of other lengths
    parts = []
    for key, what in (("generated_tokens_per_second", "generates"), ("forward_tokens_per_second", "reads")):
        own, other = (
            (record.measured("speed", record.named(role)).get(key) or {}).get("value")
            for role in ("student", "teacher")
        )
        if own and other:
            parts.append(f"{what} text {own / other:.1f} times as fast as the teacher")
    return " and ".join(parts)


def _quality(record: Record) -> str:
    student = record.named("student")
    agreement = record.measured("fidelity", student).get("overall", {}).get("top1_agreement")
    if agreement:
        return f"its top-1 prediction matches the teacher's on {_with_bounds(agreement, percent)} of tokens"
    measured = record.measured("classification", student)
    if "label_loyalty" in measured:
        return (
            f"it gives the teacher's label to {_with_bounds(measured['label_loyalty'], percent)} of examples"
        )
    loyalty = measured.get("regression_loyalty") or {}
    if loyalty.get("value") is not None:
        return f"its outputs correlate with the teacher's at {_with_bounds(loyalty, number)}"
    order = record.measured("similarity", student).get("pair_order") or {}
    if order.get("value") is not None:
        return f"it orders sentence pairs as the teacher does with Spearman {_with_bounds(order, number)}"
    return ""


def _with_bounds(estimate: Mapping[str, Any], show: Any) -> str:
    bounds = between(estimate, show)
    return show(estimate["value"]) + (f" ({bounds})" if bounds else "")
