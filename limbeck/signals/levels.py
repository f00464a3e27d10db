"""Log-probabilities as whole numbers: a ladder of levels whose steps cost a known KL.

Rounding a probability p by a small factor exp(e) costs p e^2 / 2 nats of KL. Steps of equal size in
sqrt(p) therefore cost the same whatever p is: with steps `delta`, d log p = 2 delta / sqrt(p), the error is
uniform within a step, and K outcomes cost K delta^2 / 6 on average, for every teacher.
Below that the step is held at 1/8 of a nat, so that small probabilities stay right to a sixteenth:
reverse KL reads them in log space.
"""

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDEST_STEP = 0.125  # nats
LOWEST = -40.0  # nats: below it, everything is this level
NO_TAIL = 255
_TAIL_DELTA, _TAIL_STEP = 1 / 200, 0.25
_MARGIN = 0.97  # the level taken is the next in log space, not in sqrt(p): up to 3 % dearer
_TAIL_COST = _TAIL_DELTA**2 / 6  # nats, as for the ids


def delta_for(quantisation: float, outcomes: int) -> float:
    """The step in sqrt(p) at which `outcomes` ids and their tail cost `quantisation` nats on average."""
    return math.sqrt(6 * (_MARGIN * quantisation - _TAIL_COST) / outcomes)


@cache
def ladder(
    delta: float, widest: float = WIDEST_STEP, lowest: float = LOWEST, dtype: type = np.float64
) -> NDArray[Any]:
    """[levels] log-probabilities, falling from 0."""
    roots = np.arange(1.0, 0.0, -delta)
    is_fine = 2 * delta / roots < widest
    is_fine[0] = True
    fine = 2 * np.log(roots[is_fine])
    return np.concatenate([fine, np.arange(fine[-1] - widest, lowest - widest, -widest)]).astype(dtype)


@cache
def tail_ladder() -> NDArray[np.float64]:
    """[256] log tail masses of a byte; the last one is no tail at all, -inf."""
    found = ladder(_TAIL_DELTA, _TAIL_STEP)[: NO_TAIL + 1].copy()
    found[NO_TAIL:] = -np.inf
    return found


def nearest(log_values: NDArray[np.floating], steps: NDArray[np.float64]) -> NDArray[np.int64]:
    """The level next to each value, in log space."""
    finite = steps[np.isfinite(steps)]
    borders = (finite[1:] + finite[:-1]) / 2
    found: NDArray[np.int64] = np.searchsorted(-borders, -np.asarray(log_values, dtype=np.float64))
    return found
