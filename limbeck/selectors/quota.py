"""So many rows of each group."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from limbeck.core.errors import ConfigError
from limbeck.core.seeds import generator
from limbeck.selectors.pick import Pick


def quota(
    groups: Sequence[str], *, shares: Mapping[str, float] | None = None, seed: int = 0
) -> Iterator[Pick]:
    """Rows of each group in proportion to its share, whatever the groups' sizes are.

    However many rows are taken, each group has had its share of them, rounded (Webster's method of seats);
    once a group has no rows left, the others go on in proportion.

    Args:
        groups: [N] the group of each row.
        shares: group -> its weight among the groups; a group of weight 0 gives nothing. None: all alike.
        seed: of the order of the rows within a group.

    Returns:
        All rows of groups with a share; the score counts the rows of its group so far.

    Raises:
        ConfigError: a share is negative, names no group, or a group has none.

    Example:
        >>> [("aab"[pick.row], pick.score) for pick in quota(["a", "a", "b"])]
        [('a', 1.0), ('b', 1.0), ('a', 2.0)]

    Source:
        No paper for rows; A. Sainte-Lague 1910 for the turns.
    """
    left = {name: list[int]() for name in sorted(set(groups))}
    for row in generator(seed, "quota").permutation(len(groups)).tolist():
        left[groups[row]].append(row)
    weights = _weights(shares, list(left))
    taken: Counter[str] = Counter()
    while waiting := [name for name in left if left[name] and weights[name]]:
        name = max(waiting, key=lambda one: weights[one] / (2 * taken[one] + 1))
        taken[name] += 1
        yield Pick(left[name].pop(), float(taken[name]))


def _weights(shares: Mapping[str, float] | None, names: list[str]) -> Mapping[str, float]:
    if shares is None:
        return dict.fromkeys(names, 1.0)
    if set(shares) != set(names) or min(shares.values(), default=0) < 0 or not any(shares.values()):
        raise ConfigError(
            f"shares must give each group a number of at least 0, and one of them more, got {dict(shares)} "
            f"for the groups {', '.join(names)}."
        )
    return shares
