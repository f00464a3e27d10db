"""How near what subjects write is to the expected answers, by edits of characters."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from limbeck.core.edit_similarity import LEAST
from limbeck.core.edit_similarity import anls as similarity
from limbeck.evaluation.data import EvaluationData
from limbeck.evaluation.statistics import compared
from limbeck.evaluation.written import written

DEFINITION = (
    "Average normalised Levenshtein similarity of the completions of `generation` with the expected answer: "
    "1 - edits / length of the longer text, without case, 0 below 0.5 (Biten et al. 2019). Of several "
    "expected answers, a list in the column `answers`, the nearest counts."
)
ABILITY = "writes"
MEASURES = {
    "anls": {
        "label": "ANLS",
        "form": "share",
        "better": "higher",
        "difference": "the similarity with the expected answers",
        "rank": 59,
    },
}
ANSWERS = "answers"
"""Column of a row with all answers that are right."""


def anls(evidence: EvaluationData) -> dict[str, Any]:
    """Mean similarity of each subject's completions with the nearest expected answer."""
    made = written(evidence)
    names = [evidence.row_id(prompt.row) for prompt in made.prompts]
    golds = [
        _expected(evidence.rows.get(name, {}), reference)
        for name, reference in zip(names, made.texts.references, strict=True)
    ]
    values = {
        name: np.array([similarity(text, gold) for text, gold in zip(said, golds, strict=True)])
        for name, said in made.said.items()
    }
    rows, ids = made.rows, list(dict.fromkeys(names))
    sums = {name: rows.sums(found) for name, found in values.items()}
    ones = rows.sums(np.ones(len(names)))
    for name, totals in sums.items():
        evidence.keep("anls", name, ids, totals, ones)
    comparisons = []
    for student, baseline in evidence.pairs:
        change = rows.difference((sums[student.name], ones), (sums[baseline.name], ones))
        comparisons.append(compared("anls", student.name, baseline.name, change, higher_is_better=True))
    return {
        "definition": DEFINITION,
        "least": LEAST,
        "subjects": {name: {"anls": rows.mean(found)} for name, found in values.items()},
        "comparisons": comparisons,
    }


def _expected(row: Mapping[str, Any], reference: str) -> list[str]:
    several = row.get(ANSWERS)
    return [str(one) for one in several] if isinstance(several, list) and several else [reference]
