"""Instruction-following difficulty: answers that the instruction hardly helps to write."""

from collections.abc import Iterator

import numpy as np

from limbeck.core.errors import ConfigError
from limbeck.selectors.pick import Pick, check_numbers


def ifd(losses: np.ndarray, alone_losses: np.ndarray, *, most: float = 1.0) -> Iterator[Pick]:
    """The rows with the highest ratio of loss(answer | instruction) to loss(answer) first, up to a bound.

    Near 1 the instruction says little about the answer: the scorer has to learn what is asked. Above 1 it
    misleads: such rows are left out.

    Args:
        losses: [N] mean cross-entropy of the answer's tokens behind the instruction, in nats; above 0.
        alone_losses: [N] of the same tokens without the instruction; above 0.
        most: greater ratios are left out.

    Returns:
        The rows with a ratio up to the bound; the score is the ratio.

    Raises:
        ConfigError: lengths differ, or a loss is not above 0 and finite.

    Example:
        >>> [(pick.row, pick.score) for pick in ifd(np.array([1.0, 3, 1.5]), np.array([2.0, 2, 2]))]
        [(2, 0.75), (0, 0.5)]

    Source:
        Li et al. 2024, arXiv:2308.12032; tianyi-lab/Cherry_LLM, `cherry_seletion/data_by_IFD.py`. A ratio of
        mean losses, as there, and rows of a ratio above 1 left out, as there; Superfiltering
        (arXiv:2402.00530) divides perplexities, which orders rows by the difference instead. There rows are
        left out whose instruction and answer exceed the model's length together; here they are refused
        or dropped when they are rendered.
    """
    check_numbers(losses=losses, alone_losses=alone_losses)
    if min(losses.min(initial=1.0), alone_losses.min(initial=1.0)) <= 0:
        raise ConfigError("losses must be above 0, got one of 0. Leave rows with an empty answer out.")
    ratios = losses / alone_losses
    for row in np.argsort(-ratios, kind="stable"):
        if ratios[row] <= most:
            yield Pick(int(row), float(ratios[row]))
