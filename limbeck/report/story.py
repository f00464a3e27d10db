"""What was done, step by step, in plain sentences."""

from limbeck.core.measures import MEASURES
from limbeck.report.record import Record
from limbeck.report.verdict import findings, gap_closed, leading_measure
from limbeck.report.words import count, duration


def story(record: Record) -> list[str]:
    """What each finished step says that it did, with its time and tokens."""
    sentences = []
    for step in (step for step in record.steps if step.get("said")):
        took = (
            f", {count(step['tokens'])} tokens in {duration(step['seconds'])}" if step.get("tokens") else ""
        )
        sentences.append(f"{step['said']}{took}.")
    return sentences


def limits(record: Record) -> list[str]:
    """What was measured against the student, and what the numbers do not show."""
    found = [entry["text"] for entry in findings(record)]
    measure = leading_measure(record)
    gap = None if measure is None else gap_closed(record, measure)
    if measure is not None and gap is not None and gap < 1:
        left = f"{100 * (1 - max(gap, 0)):.0f} % of the gap to its teacher is left"
        found.append(f"{left} in {MEASURES[measure].label}.")
    found += [record.kind.limits] if record.kind is not None else []
    if record.evaluation:
        rows = record.evaluation["data"]["rows"]
        found.append(f"The numbers are for {rows} held-out rows of the same source as the training rows.")
        found.append("The intervals are over rows; how much another training seed changes is not in them.")
    if record.named("teacher") is not None:
        found.append("It was trained on its teacher's output, errors and biases included.")
    if record.evaluation and record.named("baseline") is None:
        found.append("No baseline was trained, so what the teacher contributed is not known.")
    return found
