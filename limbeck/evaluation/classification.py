"""How well each subject classifies, and how loyal the students are to the teacher."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, precision_recall_fscore_support

from limbeck.core.masks import IGNORE
from limbeck.evaluation.calibration import reliability
from limbeck.evaluation.data import Array, EvaluationData, Predictions, Units
from limbeck.evaluation.intervals import share_interval
from limbeck.evaluation.statistics import Estimate, Rows, compared, correlation

DEFINITION = (
    "Label loyalty: share of examples on which the student predicts the teacher's class, whatever the true "
    "one. Probability loyalty: 1 less the base-2 Jensen-Shannon distance of the two class distributions, "
    "averaged over examples (Xu et al. 2021). Macro F1: mean over the classes that occur among the held-out "
    "labels. KL in nats. Regression loyalty: Pearson correlation with the teacher's output. "
    "Intervals: 95 %, over rows."
)

ABILITY = "has_classes"
MEASURES = {
    "accuracy": {
        "label": "accuracy",
        "heading": "accuracy",
        "form": "share",
        "better": "higher",
        "difference": "accuracy",
        "leads": True,
        "rank": 20,
    },
    "macro_f1": {"label": "macro F1", "better": "higher", "rank": 21},
    "pearson": {"label": "correlation with the labels", "better": "higher", "compared": False, "rank": 22},
    "label_loyalty": {
        "label": "label loyalty",
        "heading": "label loyalty",
        "form": "share",
        "better": "higher",
        "of_teacher": True,
        "rank": 40,
    },
    "probability_loyalty": {
        "label": "probability loyalty, 0 to 1", "better": "higher", "compared": False, "rank": 41,
    },
    "forward_kl": {
        "label": "KL(teacher ‖ model), nats", "better": "lower", "of_teacher": True, "rank": 42,
    },
    "reverse_kl": {
        "label": "KL(model ‖ teacher), nats", "better": "lower", "of_teacher": True, "rank": 43,
    },
    "regression_loyalty": {"label": "regression loyalty", "better": "higher", "compared": False, "rank": 45},
}  # fmt: skip


def classification(evidence: EvaluationData) -> dict[str, Any]:
    """Accuracy, macro F1, loyalty to the teacher (label, probability, regression), KL, ECE, per class."""
    units = evidence.units
    scores = next(iter(units.judged.values())).scores
    assert scores is not None
    if scores.shape[1] == 1:
        return {"definition": DEFINITION, "examples": len(units), **_regression(evidence, units)}
    teacher = evidence.teacher
    subjects = {}
    for subject in evidence.subjects:
        judged = units.judged[subject.name]
        subjects[subject.name] = _labelled(units, judged, evidence.settings.label_names)
        if teacher is not None and subject is not teacher:
            subjects[subject.name] |= _loyalty(units.rows, judged, units.judged[teacher.name])
        members = {
            name: _loyalty(
                units.rows, replace(judged, to_members={}, **distances._asdict()), units.judged[name]
            )
            for name, distances in judged.to_members.items()
        }
        subjects[subject.name] |= {"members": members} if members else {}
    labelled = units.target != IGNORE
    known = units.rows.sums(np.ones(len(units)), labelled)
    for name, judged in units.judged.items():
        right = units.rows.sums(judged.prediction == units.target, labelled)
        evidence.keep("accuracy", name, units.ids, right, known)
    comparisons = []
    for student, baseline in evidence.pairs if labelled.any() else ():
        first, second = (
            units.rows.sums(units.judged[subject.name].prediction == units.target, labelled)
            for subject in (student, baseline)
        )
        change = units.rows.difference((first, known), (second, known))
        comparisons.append(compared("accuracy", student.name, baseline.name, change, higher_is_better=True))
    return {
        "definition": DEFINITION,
        "examples": len(units),
        "subjects": subjects,
        "comparisons": comparisons,
    }


def _labelled(units: Units, judged: Predictions, names: tuple[str, ...]) -> dict[str, Any]:
    """What needs true labels; nothing without any."""
    where = units.target != IGNORE
    if not where.any():
        return {}
    truth, said = units.target[where], judged.prediction[where]
    classes = np.unique(truth)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, said, labels=classes, zero_division=0
    )
    macro = f1_score(truth, said, labels=classes, average="macro", zero_division=0)
    return {
        "accuracy": units.rows.mean(judged.prediction == units.target, where),
        "macro_f1": {
            "value": float(macro),
            "n": len(truth),
            "rows": units.rows.count,
            "interval": _macro_f1_bounds(units.rows.row[where], truth, said, classes, units.rows),
        },
        "nats": units.rows.mean(judged.nll, where),
        **{
            name: value
            for name, value in reliability(
                units.rows, judged.confidence, judged.prediction == units.target, where
            ).items()
            if name == "ece"
        },
        "classes": [
            {
                "class": names[label] if label < len(names) else str(label),
                "n": int(support[place]),
                "precision": float(precision[place]),
                "recall": float(recall[place]),
                "f1": float(f1[place]),
            }
            for place, label in enumerate(classes.tolist())
        ],
    }


def _macro_f1_bounds(row: Array, truth: Array, said: Array, classes: Array, rows: Rows) -> list[float] | None:
    """Interval of macro F1 = mean over classes of 2 hits / (true + predicted), from rows left out in turn."""

    def counts(where: Array) -> Array:
        table = np.zeros((rows.count, len(classes)))
        np.add.at(table, row, where.astype(np.float64))
        return table

    present = np.bincount(row, minlength=rows.count) > 0
    if present.sum() < 2:
        return None
    is_true, is_said = truth[:, None] == classes, said[:, None] == classes
    hits, trues, union = counts(is_true & is_said), counts(is_true), counts(is_true) + counts(is_said)
    with np.errstate(divide="ignore", invalid="ignore"):
        f1 = 2 * (hits.sum(0) - hits) / (union.sum(0) - union)
    without = np.nanmean(np.where(trues.sum(0) - trues > 0, f1, np.nan), axis=1)[present]
    error = float(np.sqrt(((without - without.mean()) ** 2).sum()))
    value = float((2 * hits.sum(0) / union.sum(0)).mean())
    return share_interval(value, error, rows=len(without), units=len(row))


def _loyalty(rows: Rows, student: Predictions, teacher: Predictions) -> dict[str, Estimate]:
    assert student.js_distance is not None
    assert student.forward_kl is not None and student.reverse_kl is not None
    return {
        "label_loyalty": rows.mean(student.prediction == teacher.prediction),
        "probability_loyalty": rows.mean(1 - student.js_distance),
        "forward_kl": rows.mean(student.forward_kl),
        "reverse_kl": rows.mean(student.reverse_kl),
    }


def _regression(evidence: EvaluationData, units: Units) -> dict[str, Any]:
    """One output: its correlation with the labels and with the teacher's output."""
    outputs = {name: _output(judged) for name, judged in units.judged.items()}
    where = units.target != IGNORE
    teacher = evidence.teacher
    subjects: dict[str, dict[str, Any]] = {}
    for name, output in outputs.items():
        subjects[name] = {}
        if where.any():
            truth = units.target.astype(np.float64)
            subjects[name]["pearson"] = correlation(output[where], truth[where])
            subjects[name]["squared_error"] = units.rows.mean((output - truth) ** 2, where)
        if teacher is not None and name != teacher.name:
            subjects[name]["regression_loyalty"] = correlation(output, outputs[teacher.name])
        if units.judged[name].to_members:
            subjects[name]["members"] = {
                member: {"regression_loyalty": correlation(output, outputs[member])}
                for member in units.judged[name].to_members
            }
    return {"subjects": subjects, "comparisons": []}


def _output(judged: Predictions) -> Array:
    assert judged.scores is not None
    return judged.scores[:, 0].astype(np.float64)
