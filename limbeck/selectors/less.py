"""LESS: rows whose update would help on a target."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from limbeck.core.errors import ConfigError
from limbeck.selectors.pick import Pick


class Gradients(NamedTuple):
    """What a model would learn from rows, at some moments of its training.

    Attributes:
        train: [C, N, D] directions of the candidates at C checkpoints, projected; unit vectors, or 0.
        target: [C, M, D] gradients of the target's rows, projected alike; unit vectors.
        tasks: [M] the task of each of the target's rows.
        rates: [C] learning rate at each checkpoint.
    """

    train: np.ndarray
    target: np.ndarray
    tasks: Sequence[str]
    rates: Sequence[float]


def less(gradients: Gradients) -> Iterator[Pick]:
    """The rows whose update points most like the gradient of the target, by the best of its tasks.

    score(z) = max over tasks of the mean over the task's rows of sum_c rate_c <train_c(z), target_c>, with
    rates that add up to 1. Since all are unit vectors, these are cosines: without that, short rows, whose
    gradients are large, would win.

    Args:
        gradients: of candidates and target.

    Returns:
        All rows, the highest score, in [-1, 1], first. Of equal ones the earlier row comes first.

    Raises:
        ConfigError: shapes do not fit, or the rates do not add up to more than 0.

    Example:
        >>> train, target = np.array([[[1.0, 0], [0.6, 0.8]]]), np.array([[[0.0, 1]]])
        >>> [(pick.row, pick.score) for pick in less(Gradients(train, target, ["all"], [1e-3]))]
        [(1, 0.8), (0, 0.0)]

    Source:
        Xia et al. 2024, arXiv:2402.04333; parity with princeton-nlp/LESS, `less/data_selection/matching.py`.
        There each task has equally many rows; here it may have any number.
    """
    scores = influence(gradients)
    for row in np.argsort(-scores, kind="stable"):
        yield Pick(int(row), float(scores[row]))


def influence(gradients: Gradients) -> np.ndarray:
    """[N] the score of each candidate (see `less`).

    The mean over a task's rows is taken of their gradients first, which gives the same and holds no N x M.

    Raises:
        ConfigError: shapes do not fit, or the rates do not add up to more than 0.
    """
    train, target, tasks, rates = gradients
    fits = train.ndim == 3 and target.ndim == 3 and train.shape[::2] == target.shape[::2]
    if not fits or len(tasks) != target.shape[1] or len(rates) != len(train) or not len(tasks):
        raise ConfigError(
            f"gradients must be [C, N, D] and [C, M, D] with M tasks and C rates, got {train.shape}, "
            f"{target.shape}, {len(tasks)} and {len(rates)}."
        )
    if not sum(rates) > 0:
        raise ConfigError(f"rates must add up to more than 0, got {list(rates)}.")
    names = sorted(set(tasks))
    found = np.zeros((train.shape[1], len(names)))
    for rate, candidates, wanted in zip(rates, train, target, strict=True):
        means = [wanted[[one == name for one in tasks]].mean(0, dtype=np.float64) for name in names]
        found += rate / sum(rates) * (candidates @ np.stack(means).T)
    best: np.ndarray = found.max(1)
    return best
