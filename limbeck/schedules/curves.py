"""Curves: a value as a function of the optimizer step alone."""

import math


def linear(step: int, total_steps: int, *, start: float, stop: float) -> float:
    """Straight from `start` in the first step to `stop` in the last."""
    return start + (stop - start) * _progress(step, total_steps)


def cosine(step: int, total_steps: int, *, start: float, stop: float) -> float:
    """Half a cosine from `start` in the first step to `stop` in the last: slow at both ends."""
    return stop + (start - stop) * (1 + math.cos(math.pi * _progress(step, total_steps))) / 2


def plateau(step: int, total_steps: int, *, start: float, stop: float, ramp: float = 0.5) -> float:
    """Straight from `start` to `stop` over the share `ramp` of the steps, then `stop` (DistiLLM-2's beta)."""
    return start + (stop - start) * min(1.0, step / max(1.0, ramp * total_steps))


def _progress(step: int, total_steps: int) -> float:
    return min(1.0, step / max(1, total_steps - 1))
