"""What a column says already: rows that somebody found right, or a judge was sure of."""

from collections.abc import Iterable, Iterator

from limbeck.core.errors import RowError
from limbeck.gates.reading import said, value_of
from limbeck.gates.verdict import Row, Verdict


def is_true(rows: Iterable[Row], *, column: str) -> Iterator[Verdict]:
    """Let rows through of which a column of truth values says so.

    Args:
        rows: to judge, each alone.
        column: of truth values, such as marks of a data set, or `consistent` of `judge_pair`.

    Yields:
        score: 1 or 0; reason `false`.

    Raises:
        RowError: a row without the column, or with something else in it.

    Example:
        >>> [one.passed for one in is_true([{"right": True}, {"right": False}], column="right")]
        [True, False]

    Source:
        No paper.
    """
    for row in rows:
        value = value_of(row, column)
        if value not in (True, False):
            raise RowError(f"{said(row)}: {column} must be true or false, got {value!r:.60}.")
        yield Verdict(1.0, True) if value else Verdict(0.0, False, "false")
