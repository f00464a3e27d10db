"""Answers that came to their end."""

from collections.abc import Iterable, Iterator

from limbeck.core.lineage import is_finished
from limbeck.gates.verdict import Row, Verdict


def finished(rows: Iterable[Row]) -> Iterator[Verdict]:
    """Refuse answers that were cut before they came to their end.

    Args:
        rows: to judge, each alone; a row without the column `finished` counts as whole.

    Yields:
        reason `cut`.

    Example:
        >>> [one.passed for one in finished([{"finished": True}, {"finished": False}, {}])]
        [True, False, True]
    """
    for row in rows:
        yield Verdict(None, True) if is_finished(row) else Verdict(None, False, "cut")
