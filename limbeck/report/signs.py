"""Signs that a training went wrong or stopped early: its loss, repeated text, a useless teacher."""

import math
from typing import Any

from limbeck.report.record import Record
from limbeck.report.words import percent

_FEWEST_STEPS = 20  # of a loss curve: two tenths of two steps
_FALLS = 0.005  # of the loss, over the last tenth of the steps
_RISES = 0.05  # of the loss, over where it had been: batches of other rows differ by less
_ERRORS = 2.0  # standard errors of the difference of the last two tenths
_REPEATS = 0.2  # above the share of the held-out texts


def falling(record: Record) -> bool:
    """Whether the student's loss fell over the last tenth of its steps, beyond its noise."""
    tenths = _tenths(record)
    return bool(tenths) and _is_above(tenths[-2], tenths[-1], _FALLS)


def rising(record: Record) -> bool:
    """Whether the student's loss ended above where it had been before, beyond its noise.

    A student that writes its own rows is left out: its loss is one of other rows in each step.
    """
    tenths = _tenths(record)
    if not tenths or _writes(record):
        return False
    lowest = min(tenths[:-1], key=lambda part: sum(part) / len(part))
    return _is_above(tenths[-1], lowest, _RISES)


def _tenths(record: Record) -> list[list[float]]:
    """The losses of the last training in ten parts; nothing of a short one."""
    losses = [float(line["loss"]) for line in _last_curve(record) if line.get("loss") is not None]
    size = len(losses) // 10
    if len(losses) < _FEWEST_STEPS:
        return []
    return [losses[len(losses) - size * part : len(losses) - size * (part - 1)] for part in range(10, 0, -1)]


def _is_above(high: list[float], low: list[float], share: float) -> bool:
    """Whether the mean of `high` is above that of `low`, by a share of it and beyond their noise."""
    means = [sum(part) / len(part) for part in (high, low)]
    noise = sum(
        sum((loss - mean) ** 2 for loss in part) / max(len(part) - 1, 1) / len(part)
        for part, mean in zip((high, low), means, strict=True)
    )
    drop = means[0] - means[1]
    return drop > _ERRORS * math.sqrt(noise) and drop > share * abs(means[0])


def _writes(record: Record) -> bool:
    """Whether the student of the last training wrote rows."""
    kinds = [(kind, fields or {}) for step in record.recipe.get("steps", []) for kind, fields in step.items()]
    trained = [fields for kind, fields in kinds if kind == "train"]
    return bool(trained) and trained[-1].get("rollouts") is not None


def learning_rate(record: Record) -> float | None:
    """Of the last training, at its highest."""
    rates = [float(line["learning_rate"]) for line in _last_curve(record) if line.get("learning_rate")]
    return max(rates) if rates else None


def repeating(record: Record) -> str:
    """A sentence where the student's texts repeat themselves far more than held-out texts do; else empty."""
    student = record.named("student")
    own = record.measured("generation", student).get("repetition") or {}
    text = record.metric("generation").get("reference_repetition") or {}
    if own.get("value") is None or own["value"] < (text.get("value") or 0.0) + _REPEATS:
        return ""
    others = [
        f"{name} {percent(found['value'])}"
        for role in ("teacher", "baseline")
        if (name := record.named(role))
        and (found := record.measured("generation", name).get("repetition") or {}).get("value") is not None
    ]
    if text.get("value") is not None:
        others.append(f"held-out texts {percent(text['value'])}")
    beside = f" ({', '.join(others)})" if others else ""
    return (
        f"The student repeats itself: {percent(own['value'])} of the four-token sequences in its greedy "
        f"texts stand earlier in the same text{beside}."
    )


def below_chance(record: Record) -> str:
    """A sentence where the teacher's accuracy is below that of guessing; else empty."""
    teacher = record.named("teacher")
    measured = record.measured("classification", teacher)
    accuracy, classes = measured.get("accuracy") or {}, measured.get("classes") or []
    if accuracy.get("value") is None or len(classes) < 2 or accuracy["value"] >= 1 / len(classes):
        return ""
    return (
        f"The teacher is below chance: accuracy {percent(accuracy['value'])} over {len(classes)} classes, "
        f"where guessing gives {percent(1 / len(classes))}."
    )


def _last_curve(record: Record) -> list[dict[str, Any]]:
    return list(record.curves.values())[-1] if record.curves else []
