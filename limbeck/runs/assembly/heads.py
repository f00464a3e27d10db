"""Class heads of the models that a step reads, and the labels of the rows it reads."""

from collections.abc import Mapping, Sequence

from datasets import Dataset

from limbeck.core.class_names import are_unnamed, listed
from limbeck.recipes.steps import Evaluate, Train
from limbeck.rows.classes import label_names


def read_heads(step: Train | Evaluate) -> list[str]:
    """Words of the models whose class heads a step reads; those of new weights have none."""
    return [word for path, word in step.named("model").items() if path != "student.fresh"]


def labels_of(parts: Sequence[Dataset]) -> tuple[str, ...]:
    """Labels over all parts of a load step, in the order of the data; none without labels.

    Raises:
        RowError: labels that differ in nothing but case or blanks.
    """
    labelled = [part for part in parts if "label" in part.column_names]
    return label_names(*labelled)


def assumed_order(labels: Sequence[str], heads: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each tuned head that names no classes, where the labels do."""
    if not labels or are_unnamed(labels):
        return []
    return [
        f"{model} does not name its classes; they are taken for {listed(labels)}."
        for model, names in heads.items()
        if names and are_unnamed(names)
    ]
