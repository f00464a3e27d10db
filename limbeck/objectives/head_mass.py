"""The head of a distribution: the smallest set of most likely outcomes that holds a given mass."""

import torch
from torch import Tensor
from torch.nn.functional import threshold

_FEW = 1024  # outcomes that are sorted faster than searched
_NARROW = 1.02  # candidates within 2% of each other are few enough to be sorted
_BELOW = 0.99  # of a bound that may be met exactly


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
    if p.device.type != "cpu" or p.shape[-1] <= _FEW:
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
    # Bisect on a log scale: the mass of p > low exceeds mu, that of p > high does not. To begin
    # with, outcomes of at most (1 - mu) / V each cannot hold more than 1 - mu together.
    low, high = _BELOW * (1 - mu) / p.shape[-1], float(p.amax())
    while high > low * _NARROW:
        middle = (low * high) ** 0.5
        if float(threshold(p, middle, 0.0).sum()) > mu:
            low = middle
        else:
            high = middle
    above = float(threshold(p, high, 0.0).sum(dtype=torch.float64))
    candidates = p[(p > low) & (p <= high)].sort(descending=True).values
    if compat == "released" and above > 0:
        # Where no candidate fits under mu, the head ends with the outcome just above them.
        last = torch.where(p > high, p, torch.inf).min().reshape(1)
        candidates, above = torch.cat([last, candidates]), above - float(last)
    return _in_sorted(candidates, above, mu, compat)
