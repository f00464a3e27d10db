"""How well each subject fills in hidden tokens."""

from typing import Any

import numpy as np

from limbeck.evaluation.data import EvaluationData
from limbeck.evaluation.statistics import compared, exponential

DEFINITION = (
    "Cross-entropy: mean of -ln p(token) over the hidden tokens of the held-out rows, each from all that is "
    "shown of its row; the same tokens are hidden for every model. Masked perplexity is its exponential: "
    "hidden tokens are not predicted from one another, so it is no perplexity of the text and does not "
    "compare with that of a causal model, nor with other shares of hidden tokens. Accuracy: share of hidden "
    "tokens that are found likeliest. Intervals: 95 %, over rows."
)

ABILITY = "fills_in"
MEASURES = {
    "masked_cross_entropy": {
        "label": "cross-entropy of hidden tokens, nats",
        "heading": "nats/hidden token",
        "better": "lower",
        "difference": "cross-entropy of hidden tokens, in nats",
        "leads": True,
        "rank": 15,
    },
    "masked_perplexity": {
        "label": "perplexity of hidden tokens",
        "heading": "masked perplexity",
        "better": "lower",
        "compared": False,
        "rank": 16,
    },
    "masked_accuracy": {
        "label": "hidden tokens found",
        "heading": "masked accuracy",
        "form": "share",
        "better": "higher",
        "difference": "the share of hidden tokens that are found",
        "rank": 17,
    },
}


def masked_tokens(evidence: EvaluationData) -> dict[str, Any]:
    """Cross-entropy, its exponential, and accuracy on the hidden tokens of the held-out rows."""
    units = evidence.units
    rows, ones = units.rows, units.rows.sums(np.ones(len(units)))
    nats = {name: rows.sums(one.nll) for name, one in units.judged.items()}
    found = {name: rows.sums(one.prediction == units.target) for name, one in units.judged.items()}
    subjects = {}
    for name in units.judged:
        cross_entropy = rows.ratio(nats[name], ones)
        subjects[name] = {
            "masked_cross_entropy": cross_entropy,
            "masked_perplexity": exponential(cross_entropy),
            "masked_accuracy": rows.ratio(found[name], ones),
        }
        evidence.keep("masked_cross_entropy", name, units.ids, nats[name], ones)
        evidence.keep("masked_accuracy", name, units.ids, found[name], ones)
    comparisons = []
    for student, baseline in evidence.pairs:
        for measure, sums in (("masked_cross_entropy", nats), ("masked_accuracy", found)):
            change = rows.difference((sums[student.name], ones), (sums[baseline.name], ones))
            comparisons.append(
                compared(
                    measure,
                    student.name,
                    baseline.name,
                    change,
                    higher_is_better=measure == "masked_accuracy",
                )
            )
    return {"definition": DEFINITION, "tokens": len(units), "subjects": subjects, "comparisons": comparisons}
