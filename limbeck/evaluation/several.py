"""Subjects of several tokenizers: every group reads the same rows by its own tokens."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from limbeck.core.batch import Source
from limbeck.core.masks import IGNORE
from limbeck.core.seeds import generator
from limbeck.evaluation.data import EvaluationData
from limbeck.evaluation.fidelity import DEFINITION
from limbeck.evaluation.settings import EvaluatedModel, EvaluationSettings

_READ_AT_ONCE = 32
_WHY = "reads other tokens, and distributions over different tokens cannot be compared position by position"


def gather(
    subjects: Sequence[EvaluatedModel],
    source: Source,
    rows: Mapping[str, Mapping[str, Any]],
    settings: EvaluationSettings,
    progress: Callable[[str, float], None],
) -> EvaluationData:
    """The evidence of the subjects that read `source`, with that of each other source in `others`.

    With `max_positions`, rows are drawn until the first group has so many, and every group reads these rows
    whole; a group alone stops where it is (see `Evidence.batches`).
    """
    by_row: dict[str, dict[str, dict[str, float]]] = {}
    sources = {id(subject.source): subject.source for subject in subjects if subject.source is not None}
    others = [
        EvaluationData(
            [subject for subject in subjects if subject.source is own], own, rows, settings, progress, by_row
        )
        for own in sources.values()
    ]
    members = [subject for subject in subjects if subject.source is None]
    first = EvaluationData(members, source, rows, settings, progress, by_row, others)
    if others and settings.max_positions is not None:
        drawn = _drawn(first, settings.max_positions)
        for group in (first, *others):
            group.entries = [entry for entry, row, _ in _entries(group) if row in drawn]
    return first


def among_equals(
    name: str, metric: Callable[[EvaluationData], dict[str, Any]], evidence: EvaluationData
) -> dict[str, Any]:
    """A metric of distributions over tokens, computed for subjects that share their tokenizer.

    Those are the teacher's group where the metric compares with a teacher (fidelity), else the first; the
    definition says who was left out.
    """
    if not evidence.others:
        return metric(evidence)
    home, result = evidence, None
    if name == "fidelity":
        groups = (evidence, *evidence.others)
        home = next((group for group in groups if group.teacher is not None), evidence)
        if home.teacher is not None and not home.students:
            result = _without_students(home)
    result = result or metric(home)
    left_out = [one.name for one in evidence.everyone if one not in home.subjects]
    beside = f"Left out: {', '.join(left_out)}, which {_WHY}."
    return result | {"definition": f"{result['definition']} {beside}"}


def _without_students(home: EvaluationData) -> dict[str, Any]:
    assert home.teacher is not None
    return {
        "definition": DEFINITION,
        "teacher": home.teacher.name,
        "teacher_top1_accuracy": {"value": None, "n": 0, "rows": 0, "interval": None},
        "subjects": {},
        "comparisons": [],
    }


def _drawn(evidence: EvaluationData, positions: int) -> set[str]:
    """Rows in random order until they hold so many positions in the loss."""
    loss_mask: dict[str, int] = {}
    for _, row, count in _entries(evidence):
        loss_mask[row] = loss_mask.get(row, 0) + count
    names, drawn, total = list(loss_mask), set(), 0
    for place in generator(evidence.settings.seed, "rows").permutation(len(names)).tolist():
        if total >= positions:
            break
        drawn.add(names[place])
        total += loss_mask[names[place]]
    return drawn


def _entries(evidence: EvaluationData) -> list[tuple[int, str, int]]:
    """Every entry of the source, the row it was made from, and how many positions it teaches."""
    found = []
    for start in range(0, len(evidence.source), _READ_AT_ONCE):
        indices = list(range(start, min(start + _READ_AT_ONCE, len(evidence.source))))
        batch = evidence.source.batch(indices)
        assert batch.targets is not None
        loss_mask = (batch.targets.cpu().numpy() != IGNORE).sum(axis=1)
        rows = [evidence.row_id(names[0]) for names in batch.row_ids]
        found += list(zip(indices, rows, np.asarray(loss_mask).tolist(), strict=True))
    return found
