"""What selectors ask for, made from rows and models and kept in the step's folder."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from limbeck.runs.assembly.features.columns import groups_of, numbers_of
from limbeck.runs.assembly.features.given import Given
from limbeck.runs.assembly.features.gradients import gradients_of
from limbeck.runs.assembly.features.losses import losses_alone_of, losses_of
from limbeck.runs.assembly.features.texts import lengths_of, texts_of
from limbeck.runs.assembly.features.vectors import vectors_of
from limbeck.selectors.less import Gradients

MADE: Mapping[str, Callable[[Given], Any]] = {
    "count": lambda given: len(given.rows),
    "scores": lambda given: losses_of(given) if given.step.scores is None else numbers_of(given),
    "groups": groups_of,
    "texts": texts_of,
    "lengths": lengths_of,
    "vectors": vectors_of,
    "losses": losses_of,
    "alone_losses": losses_alone_of,
    "gradients": gradients_of,
}
"""A positional argument of a selector -> its value for all rows."""


def part_of(feature: Any, rows: Sequence[int]) -> Any:
    """A feature of some of the rows."""
    if isinstance(feature, int):
        return len(rows)
    if isinstance(feature, Gradients):
        return feature._replace(train=feature.train[:, list(rows)])
    return feature[list(rows)] if isinstance(feature, np.ndarray) else [feature[row] for row in rows]
