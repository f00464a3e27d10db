"""Whether each subject's confidence is the share in which it is right."""

from typing import Any

import numpy as np

from limbeck.core.masks import IGNORE
from limbeck.evaluation.data import Array, EvaluationData
from limbeck.evaluation.intervals import LEVEL
from limbeck.evaluation.statistics import Rows

BINS = 15  # Guo et al. 2017, arXiv:1706.04599
DEFINITION = (
    "Expected calibration error: over 15 bins of equal width of the likeliest outcome's probability, the "
    "mean of |accuracy - mean confidence|, weighted by the units in the bin (Guo et al. 2017). 0 is "
    "perfect. Interval: 95 %, rows resampled and mirrored at the value; it starts at 0 where a calibrated "
    "model could show as much by chance over so few rows."
)

ABILITY = "scores"
MEASURES = {
    "ece": {
        "label": "calibration error (ECE)", "heading": "ECE", "form": "share", "better": "lower", "rank": 70,
    },
}  # fmt: skip


def calibration(evidence: EvaluationData) -> dict[str, Any]:
    """Reliability curve and expected calibration error of every subject, on 15 bins of equal width."""
    units = evidence.units
    labelled = units.target != IGNORE
    subjects = {
        name: reliability(units.rows, judged.confidence, judged.prediction == units.target, labelled)
        for name, judged in units.judged.items()
    }
    return {"definition": DEFINITION, "bins": BINS, "subjects": subjects}


def reliability(rows: Rows, confidence: Array, correct: Array, where: Array) -> dict[str, Any]:
    """ECE with its interval, and for each bin: its bounds, n, mean confidence and share right.

    Args:
        rows: the row of each unit.
        confidence: [N] probability of the predicted outcome; a bin holds low < confidence <= high.
        correct: [N] whether that outcome is the target.
        where: [N] the units that have a target.
    """
    index = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    cell = rows.row * BINS + index

    def table(weights: Array) -> Array:
        total = np.bincount(cell[where], weights=weights[where], minlength=rows.count * BINS)
        return total.reshape(rows.count, BINS)

    counts, confident, right = (
        table(values) for values in (np.ones(len(cell)), confidence, correct.astype(np.float64))
    )
    n, sure, hit = counts.sum(0), confident.sum(0), right.sum(0)
    present = int((counts.sum(1) > 0).sum())
    return {
        "ece": {
            "value": float(np.abs(hit - sure).sum() / n.sum()) if n.sum() else None,
            "n": int(n.sum()),
            "rows": present,
            "interval": _bounds(rows, right - confident, counts.sum(1)) if present > 1 else None,
        },
        "accuracy": float(hit.sum() / n.sum()) if n.sum() else None,
        "mean_confidence": float(sure.sum() / n.sum()) if n.sum() else None,
        "curve": [
            {
                "low": place / BINS,
                "high": (place + 1) / BINS,
                "n": int(n[place]),
                "confidence": float(sure[place] / n[place]),
                "accuracy": float(hit[place] / n[place]),
            }
            for place in range(BINS)
            if n[place]
        ],
    }


def _bounds(rows: Rows, gaps: Array, counts: Array) -> list[float]:
    """Interval of the ECE from each row's sums of (right - confidence) by bin [rows, bins] and its units.

    An absolute value turns noise into error: a calibrated model of 20 examples shows an ECE of 0.23. So
    resampled values lie above what they estimate by as much as the value itself does; mirrored at the value
    they lie below it, and the interval holds both.
    """
    units = np.maximum(rows.draws @ counts, 1)
    value = np.abs(gaps.sum(0)).sum() / counts.sum()
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.abs(rows.draws @ gaps).sum(1) / units, [tail, 1 - tail])
    by_chance = np.abs(rows.draws @ (gaps - gaps.mean(0))).sum(1) / units
    below = 0.0 if value <= np.quantile(by_chance, LEVEL) else max(0.0, min(low, 2 * value - high))
    return [float(below), float(min(1.0, max(high, 2 * value - low)))]
