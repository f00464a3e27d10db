"""Rows judged some at a time, in threads that wait for processes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from limbeck.gates.verdict import Row, Verdict


def beside_each_other(
    rows: Iterable[Row], judge: Callable[[Row], Verdict], workers: int
) -> Iterator[Verdict]:
    """Verdicts in the order of the rows.

    Example:
        >>> found = beside_each_other([{"n": 1}, {"n": 2}], lambda row: Verdict(row["n"], True), 2)
        >>> [one.score for one in found]
        [1, 2]
    """
    waiting: deque[Future[Verdict]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for row in rows:
            waiting.append(pool.submit(judge, row))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
