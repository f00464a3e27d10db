"""A curriculum by competence: rows come into reach from the easiest on, and are drawn among these."""

from collections.abc import Iterator, Sequence
from math import ceil, sqrt
from typing import Literal

from limbeck.core.errors import ConfigError
from limbeck.core.seeds import generator

Shape = Literal["sqrt", "linear"]


def competence_at(time: float, *, start: float, shape: Shape) -> float:
    """c(t), the share of the rows, easiest first, that are in reach.

    linear: start + (1 - start) t. sqrt: sqrt(t (1 - start^2) + start^2), under which the more rows are in
    reach, the slower new ones come. Both are `start` at 0 and 1 at 1.

    Args:
        time: share of the training that is done, in [0, 1].
        start: c(0), in (0, 1].
        shape: of the rise.

    Returns:
        In [start, 1].

    Raises:
        ConfigError: `start` is outside (0, 1].

    Source:
        Platanios et al. 2019, arXiv:1903.09848, with c(0) = 0.01 in all their experiments.
    """
    if not 0 < start <= 1:
        raise ConfigError(f"start must lie in (0, 1], got {start}.")
    if shape == "linear":
        return min(1.0, start + (1 - start) * time)
    return min(1.0, sqrt(time * (1 - start**2) + start**2))


def competence_order(copies: Sequence[int], *, start: float, shape: Shape, seed: int) -> Iterator[int]:
    """Entries in an order in which the t-th of T is drawn among those in reach at t / T.

    An entry comes as often as it has copies, so that hard ones lose no update to easy ones; Platanios et al.
    draw with replacement, which favours those in reach early.

    Args:
        copies: how often each entry comes, from the easiest entry to the hardest.
        start: share of the entries in reach at the beginning, in (0, 1].
        shape: see `competence_at`.
        seed: same seed, same order.

    Yields:
        Places of entries, sum(copies) of them.

    Raises:
        ConfigError: `start` is outside (0, 1].
    """
    total, draws = sum(copies), generator(seed, "competence")
    within: list[int] = []
    reached = 0
    for place in range(total):
        reach = ceil(competence_at(place / total, start=start, shape=shape) * len(copies))
        while reached < len(copies) and (reached < reach or not within):
            within += [reached] * copies[reached]
            reached += 1
        drawn = int(draws.integers(len(within)))
        within[drawn], within[-1] = within[-1], within[drawn]
        yield within.pop()
