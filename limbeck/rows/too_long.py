"""Rows whose prompt leaves no room for an answer: refused, or left out and counted where a user says so."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from limbeck.core.errors import Problem
from limbeck.rows.problems import LongPrompt, refuse_rendering

TOO_LONG = "too_long"
"""Column of rows that says `drop`: such rows are left out. Without it they are refused."""

LEFT_OUT = "rows left out (too_long: drop), because their prompt leaves no room within max_length"
"""A note of `rows.render.notes_of`."""


def refused_or_left_out(
    rows: Dataset, problems: Sequence[Problem], max_length: int, notes: Counter[str]
) -> frozenset[str]:
    """Names of the examples that are left out; counted in `notes`.

    Raises:
        RowError: what rendering found, long prompts only where rows do not say that they may be dropped,
            or where no row would be left.
    """
    long = frozenset(problem.where for problem in problems if isinstance(problem, LongPrompt))
    if TOO_LONG not in rows.column_names or len(long) >= len(rows):
        refuse_rendering(problems, max_length)
        return frozenset()
    refuse_rendering([problem for problem in problems if not isinstance(problem, LongPrompt)], max_length)
    notes[LEFT_OUT] += len(long)
    return long


def without(tables: Sequence[pa.Table], names: frozenset[str]) -> list[pa.Table]:
    """Tables of examples without those of these names."""
    if not names:
        return list(tables)
    gone = pa.array(sorted(names), pa.string())
    return [table.filter(pc.invert(pc.is_in(table["row_id"], gone))) for table in tables]
