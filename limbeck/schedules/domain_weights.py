"""DDK: how often each domain is drawn, by how far the student lags behind its teacher there."""

import math
from collections.abc import Mapping, Sequence


def first_weights(gaps: Mapping[str, float], limit: float = math.inf) -> dict[str, float]:
    """r_0[i] = exp(g[i]) / sum_j exp(g[j]), with g the ratio of perplexities student / teacher.

    Args:
        gaps: domain -> ratio of perplexities.
        limit: larger ratios count as this: a ratio of 4 already weighs 54.6.
    """
    raised = {name: math.exp(min(gap, limit)) for name, gap in gaps.items()}
    return _shares(raised)


def next_weights(
    weights: Mapping[str, float],
    gaps: Mapping[str, float],
    *,
    smoothing: float = 0.5,
    limit: float = math.inf,
) -> dict[str, float]:
    """r[i] <- smoothing * psi[i] / sum_j psi[j] + (1 - smoothing) / N, with psi[i] = r[i] * exp(g[i]).

    Args:
        weights: of all N domains so far.
        gaps: domain -> ratio of perplexities student / teacher, measured anew.
        smoothing: alpha of the paper, 0.5; no domain falls below (1 - smoothing) / N.
        limit: larger ratios count as this.

    Source:
        Liu et al. 2024, arXiv:2407.16154, equations 2 to 4; no official code is known.
    """
    psi = _shares({name: weights[name] * math.exp(min(gaps[name], limit)) for name in weights})
    return {name: smoothing * share + (1 - smoothing) / len(psi) for name, share in psi.items()}


def _shares(values: Mapping[str, float]) -> dict[str, float]:
    total = sum(values.values())
    return {name: value / total for name, value in values.items()}


def chosen(weights: Mapping[str, float], drawn: float) -> str:
    """The domain that a number in [0, 1) falls to."""
    names: Sequence[str] = sorted(weights)
    passed = 0.0
    for name in names:
        passed += weights[name]
        if drawn < passed:
            return name
    return names[-1]
