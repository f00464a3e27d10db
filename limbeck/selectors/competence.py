"""An order for training: the easy rows first, the hard ones as competence grows."""

from collections.abc import Iterator

import numpy as np

from limbeck.core.curriculum import Shape, competence_order
from limbeck.selectors.pick import Pick, check_numbers


def competence(
    scores: np.ndarray, *, start: float = 0.01, shape: Shape = "sqrt", highest: bool = False, seed: int = 0
) -> Iterator[Pick]:
    """All rows once, each drawn among the easiest share c(t) that is in reach when a share t is drawn.

    For trainings of one pass over the rows, with `order: given` in the train step. Several passes follow
    the same rise as one with `order: competence`, on rows in the order of their difficulty. Since no row
    comes twice, a linear rise from a small start is the sorted order itself.

    Args:
        scores: [N] how hard each row is: a column, or the loss of a scorer.
        start: c(0), the share in reach at the beginning, in (0, 1].
        shape: "sqrt" or "linear".
        highest: rows with high numbers are the easy ones, as with pass rates.
        seed: of the draws.

    Returns:
        All rows; the score is the number.

    Raises:
        ConfigError: a number is not finite, or `start` is outside (0, 1].

    Example:
        >>> [pick.row for pick in competence(np.array([3.0, 1, 2]), start=0.3, shape="linear")][0]
        1

    Source:
        Platanios et al. 2019, arXiv:1903.09848: start 0.01 and the square root are theirs. They draw with
        replacement from the rows in reach; here every row comes exactly once.
    """
    check_numbers(scores=scores)
    order = np.argsort(-scores if highest else scores, kind="stable")
    for place in competence_order([1] * len(order), start=start, shape=shape, seed=seed):
        yield Pick(int(order[place]), float(scores[order[place]]))
