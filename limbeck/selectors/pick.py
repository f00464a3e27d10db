"""What a selector yields, and guards for what it is given."""

from typing import NamedTuple

import numpy as np

from limbeck.core.errors import ConfigError


class Pick(NamedTuple):
    """One row, in its turn.

    Attributes:
        row: its place among the candidates.
        score: why it is taken here, in the selector's own unit.
    """

    row: int
    score: float


def check_vectors(vectors: np.ndarray) -> np.ndarray:
    """[N, D] float32, after a look: two dimensions, a row at least, all finite."""
    if vectors.ndim != 2 or not vectors.size:
        raise ConfigError(f"vectors must be [N, D] with a row at least, got {vectors.shape}.")
    if not np.isfinite(vectors).all():
        raise ConfigError("vectors must be finite, got NaN or infinity. Leave such rows out first.")
    return np.ascontiguousarray(vectors, dtype=np.float32)


def check_numbers(**columns: np.ndarray) -> None:
    """Raise ConfigError unless all columns are [N], as long as each other, and finite."""
    shapes = {name: np.shape(column) for name, column in columns.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ConfigError(f"columns must be [N] and of one length, got {listed}.")
    for name, column in columns.items():
        wrong = np.flatnonzero(~np.isfinite(np.asarray(column, dtype=float)))
        if len(wrong):
            raise ConfigError(
                f"{name} must be finite numbers, got {column[wrong[0]]} in row {wrong[0]}. "
                "Leave such rows out."
            )


def check_share(**shares: float) -> None:
    """Raise ConfigError unless every value lies in [0, 1)."""
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ConfigError(f"{name} must lie in [0, 1), got {value}.")
