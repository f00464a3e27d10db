"""Rows by chance: the baseline of every selector."""

from collections.abc import Iterator

from limbeck.core.seeds import generator
from limbeck.selectors.pick import Pick


def random(count: int, *, seed: int = 0) -> Iterator[Pick]:
    """Rows in an order that a seed draws: the baseline that any other selector has to beat.

    Args:
        count: N, how many rows there are.
        seed: same seed, same order.

    Returns:
        All rows; the score is the place in the order.

    Raises:
        ConfigError: never.

    Example:
        >>> sorted(pick.row for pick in random(4, seed=1))
        [0, 1, 2, 3]

    Source:
        No paper.
    """
    for place, row in enumerate(generator(seed, "random selection").permutation(count)):
        yield Pick(int(row), float(place))
