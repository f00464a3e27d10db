"""Rows some at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice

from limbeck.gates.verdict import Row


def batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Lists of at most `size` rows, in order.

    Example:
        >>> [len(some) for some in batches([{}] * 5, 2)]
        [2, 2, 1]
    """
    waiting = iter(rows)
    while some := list(islice(waiting, size)):
        yield some
