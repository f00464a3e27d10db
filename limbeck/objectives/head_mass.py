"""The head of a distribution: the smallest set of most likely outcomes that holds a given mass."""

import torch
from torch import Tensor
from torch.nn.functional import threshold

_FIRST_GUESS = 64  # outcomes; a language model's head is nearly always smaller
_NARROW = 1.02  # candidates within 2% of each other are few enough to be sorted
_LEAST = 2.0**-40  # below any probability that can carry the head


def head_threshold(p: Tensor, mu: float, compat: str) -> Tensor:
    """Probability of the head's least likely outcome.

    Args:
        p: [..., V], probabilities.
        mu: mass of the head, in (0, 1).
        compat: "paper": the outcome that reaches mu belongs to the head; "released": it does not,
            unless it is the first.

    Returns:
        [..., 1]; the head is p >= threshold, so outcomes of equal probability enter together.
    """
    if p.device.type != "cpu" or p.shape[-1] <= _FIRST_GUESS:
        return _in_sorted(p.sort(-1, descending=True).values, 0.0, mu, compat)
    # Sorting a whole vocabulary on a CPU costs more than the head products it goes with.
    rows = [_threshold_of_row(row, mu, compat) for row in p.reshape(-1, p.shape[-1])]
    return torch.stack(rows).reshape(*p.shape[:-1], 1)


def _in_sorted(ordered: Tensor, above: float, mu: float, compat: str) -> Tensor:
    """The threshold among `ordered` [..., C] (descending), given the mass of everything above them."""
    cumulative = ordered.cumsum(-1, dtype=torch.float64) + above
    inside = cumulative < mu if compat == "paper" else cumulative <= mu
    place = inside.sum(-1, keepdim=True) - (0 if compat == "paper" else 1)
    return ordered.gather(-1, place.clamp(0, ordered.shape[-1] - 1))


def _threshold_of_row(p: Tensor, mu: float, compat: str) -> Tensor:
    first = p.topk(_FIRST_GUESS).values
    if first.sum(dtype=torch.float64) > mu:
        return _in_sorted(first, 0.0, mu, compat)
    # Bisect on a log scale: the mass of p > low exceeds mu, that of p > high does not.
    low, high = _LEAST, float(first[-1])
    while high > low * _NARROW:
        middle = (low * high) ** 0.5
        if _mass_above(p, middle) > mu:
            low = middle
        else:
            high = middle
    above = _mass_above(p, high)
    candidates = p[(p > low) & (p <= high)].sort(descending=True).values
    if compat == "released" and above > 0:
        # Where no candidate fits under mu, the head ends with the outcome just above them.
        last = torch.where(p > high, p, torch.inf).min().reshape(1)
        candidates, above = torch.cat([last, candidates]), above - float(last)
    return _in_sorted(candidates, above, mu, compat)


def _mass_above(p: Tensor, level: float) -> float:
    return float(threshold(p, level, 0.0).sum(dtype=torch.float64))
