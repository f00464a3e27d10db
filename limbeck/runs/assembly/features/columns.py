"""Features that stand in the rows: numbers and groups."""

import json
from typing import Any

import numpy as np
from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lineage import VERDICTS
from limbeck.core.lookup import did_you_mean
from limbeck.runs.assembly.features.given import Given


def numbers_of(given: Given) -> np.ndarray:
    """[N] the column `scores`.

    Raises:
        ConfigError: there is no such column, or a row has no number in it.
    """
    assert given.step.scores is not None, "checked with the recipe"
    return numbers_in(given.rows, given.step.scores)


def numbers_in(rows: Dataset, name: str) -> np.ndarray:
    """[N] numbers of a column, or scores of a gate by `verdicts.GATE`: of its last verdict on each row.

    Raises:
        ConfigError: there is no such column, or a row has no number in it.
    """
    table, dot, gate = name.partition(".")
    is_gate = bool(dot) and table == VERDICTS and name not in rows.column_names
    values = _scores(rows, gate) if is_gate else column(rows, name, "scores")
    for row, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise ConfigError(
                Problem(
                    "scores",
                    f"must name a column of finite numbers, got {name} with {value!r} in row "
                    f"{rows['id'][row]}. Leave such rows out.",
                )
            )
    return np.asarray(values, dtype=np.float64)


def _scores(rows: Dataset, gate: str) -> list[Any]:
    """What a gate measured of each row; None where it did not judge it."""
    said = [json.loads(one or "[]") for one in column(rows, VERDICTS, "scores")]
    return [next((one["score"] for one in reversed(row) if one["gate"] == gate), None) for row in said]


def groups_of(given: Given) -> list[str]:
    """[N] the column `groups`, as words."""
    assert given.step.groups is not None, "checked with the recipe"
    return words_in(given.rows, given.step.groups, "groups")


def words_in(rows: Dataset, name: str, field: str) -> list[str]:
    """[N] values of a column as words.

    Raises:
        ConfigError: there is no such column.
    """
    return [str(value) for value in column(rows, name, field)]


def column(rows: Dataset, name: str, field: str) -> list[Any]:
    """The values of a column that a field of the step names.

    Raises:
        ConfigError: there is no such column.
    """
    if name not in rows.column_names:
        near = did_you_mean(name, rows.column_names)
        raise ConfigError(Problem(field, f"must name a column of the rows, got '{name}'.{near}"))
    return list(rows[name])
