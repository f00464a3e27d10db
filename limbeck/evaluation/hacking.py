"""Teacher hacking: the student comes closer to an imperfect teacher while it leaves the truth.

The proxy is the student's distance to the teacher, the golden curve its distance to an oracle that
stands for the truth, both over optimizer steps on validation prompts.

Source:
    Tiapkin et al. 2025, arXiv:2502.02671 (no code): while training is sound, the proxy follows a power
    law; a departure from it accompanies a golden curve that turns upwards. The rules by which we decide
    (window, smoothing, number of evaluations in a row) are ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import ConfigError

Array = NDArray[np.float64]
Verdict = Literal["hacking", "diverging", "departed", "sound", "too_few"]

_WINDOW = (0.05, 0.3)  # of the evaluations: behind the warm-up, before anything can be learnt by heart
_LONGEST_MEMORY = 0.9
_FEWEST = 5  # points of a fit
_STILL_FALLING = 0.8  # a minimum in the last fifth of the evaluations is no turn


@dataclass(frozen=True)
class PowerLaw:
    """log d = a - k log t, fitted by least squares.

    Attributes:
        a: log distance at step 1.
        k: exponent; above 0 the distance falls.
        sigma: standard deviation of the residuals (n - 2 degrees of freedom).
        window: first and last step of the fit.
        n: points of the fit.
        memory: lag-1 autocorrelation of the residuals, in [0, 0.9]; such noise strays further than its sigma
            says, by sqrt((1 + memory) / (1 - memory)).
        centre: mean of log t in the window.
        spread: sum of squares of log t about `centre`.
    """

    a: float
    k: float
    sigma: float
    window: tuple[float, float]
    n: int
    memory: float
    centre: float
    spread: float

    def at(self, steps: Sequence[float] | Array) -> Array:
        """The distance that the law predicts."""
        return np.exp(self.a - self.k * np.log(np.asarray(steps, dtype=np.float64)))

    def error_at(self, steps: Sequence[float] | Array) -> Array:
        """Standard error of a new log distance there: its own scatter and the doubt about the line."""
        away = np.log(np.asarray(steps, dtype=np.float64)) - self.centre
        strays = math.sqrt((1 + self.memory) / (1 - self.memory))
        return self.sigma * strays * np.sqrt(1 + 1 / self.n + away**2 / self.spread)


@dataclass(frozen=True)
class Turn:
    """Where a curve is lowest, and whether it rises behind that beyond its noise.

    Attributes:
        step: of the minimum of the smoothed curve.
        rise: log of the last smoothed value over the smallest.
        sigma: scatter of single log values.
        is_u_shaped: the minimum lies well before the end, and the rise is beyond the noise.
    """

    step: float
    rise: float
    sigma: float
    is_u_shaped: bool


def fit_power_law(
    steps: Sequence[float], distances: Sequence[float], *, window: tuple[float, float] | None = None
) -> PowerLaw | None:
    """Fit log d = a - k log t to the evaluations in an early window.

    Args:
        steps: [n] optimizer steps, increasing; those below 1 are left out.
        distances: [n] in nats; those not above 0 are left out.
        window: first and last step; None takes the evaluations between 5 and 30 % of all.

    Returns:
        The law, or None with fewer than five evaluations in the window.
    """
    t, d = _positive(steps, distances)
    if window is None:
        first, last = (round(share * len(t)) for share in _WINDOW)
        last = max(last, first + _FEWEST)
        x, y = np.log(t[first:last]), np.log(d[first:last])
        t = t[first:last]
    else:
        inside = (t >= window[0]) & (t <= window[1])
        t, x, y = t[inside], np.log(t[inside]), np.log(d[inside])
    if len(x) < _FEWEST:
        return None
    slope, intercept = np.polyfit(x, y, 1)
    residuals = y - (intercept + slope * x)
    return PowerLaw(
        a=float(intercept),
        k=float(-slope),
        sigma=float(math.sqrt((residuals**2).sum() / (len(x) - 2))),
        window=(float(t[0]), float(t[-1])),
        n=len(x),
        memory=_memory(residuals),
        centre=float(x.mean()),
        spread=float(((x - x.mean()) ** 2).sum()),
    )


def departure(
    steps: Sequence[float],
    distances: Sequence[float],
    law: PowerLaw,
    *,
    smoothing: int = 5,
    sigmas: float = 3.0,
    consecutive: int = 3,
) -> float | None:
    """The first step at which a curve has left its law upwards; None while it has not.

    The residual log d - log law(t), averaged over the last `smoothing` evaluations, must exceed
    `sigmas` standard errors of the prediction `consecutive` times in a row, behind the window.

    Args:
        steps: [n] optimizer steps, increasing.
        distances: [n] in nats.
        law: of the early part of the same curve.
        smoothing: evaluations in the running mean.
        sigmas: how far is far.
        consecutive: how often in a row.
    """
    t, d = _positive(steps, distances)
    residuals = np.log(d) - np.log(law.at(t))
    above = (_running_mean(residuals, smoothing) > sigmas * law.error_at(t)) & (t > law.window[1])
    row = 0
    for step, is_above in zip(t.tolist(), above.tolist(), strict=True):
        row = row + 1 if is_above else 0
        if row == consecutive:
            return float(step)
    return None


def turn(
    steps: Sequence[float], distances: Sequence[float], *, smoothing: int = 5, sigmas: float = 3.0
) -> Turn | None:
    """Find a U: a minimum before the last fifth of the evaluations, and a rise beyond the noise.

    The noise of a single log value is estimated from second differences, which a smooth curve leaves
    near 0. The rise of the smoothed curve must exceed `sigmas` times that.

    Args:
        steps: [n] optimizer steps, increasing.
        distances: [n] in nats.
        smoothing: evaluations in the running mean.
        sigmas: how far is far.

    Returns:
        The turn, or None with fewer evaluations than twice `smoothing`.
    """
    t, d = _positive(steps, distances)
    if len(t) < 2 * smoothing:
        return None
    logs = np.log(d)
    smooth = np.convolve(logs, np.full(smoothing, 1 / smoothing), mode="valid")
    centres = t[smoothing // 2 : smoothing // 2 + len(smooth)]
    lowest = int(smooth.argmin())
    # Var(y[i-1] - 2 y[i] + y[i+1]) = 6 sigma^2 for independent noise.
    sigma = float(np.std(np.diff(logs, 2)) / math.sqrt(6))
    rise = float(smooth[-1] - smooth[lowest])
    is_early = lowest < _STILL_FALLING * (len(smooth) - 1)
    return Turn(float(centres[lowest]), rise, sigma, is_early and rise > sigmas * sigma)


def hacking(proxy: Sequence[tuple[float, float]], golden: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Judge a training by its proxy and golden curves.

    Args:
        proxy: (step, distance to the teacher), by step.
        golden: (step, distance to the oracle), by step.

    Returns:
        Plain JSON data: `verdict`: `hacking` (golden turned up, the proxy did not), `diverging` (both
        turned up), `departed` (the proxy left its power law, golden did not turn), `sound`, or
        `too_few` evaluations; `law` {a, k, sigma, window}
        or None; `departed_at`: step or None; `turn` {step, rise (log), sigma, is_u_shaped} or None.
    """
    law = fit_power_law(*_columns(proxy))
    left = None if law is None else departure(*_columns(proxy), law)
    turned = turn(*_columns(golden))
    verdict: Verdict = "sound"
    if turned is not None and turned.is_u_shaped:
        other = turn(*_columns(proxy))
        verdict = "diverging" if other is not None and other.is_u_shaped else "hacking"
    elif left is not None:
        verdict = "departed"
    elif law is None or turned is None:
        verdict = "too_few"
    return {
        "verdict": verdict,
        "law": None
        if law is None
        else {"a": law.a, "k": law.k, "sigma": law.sigma, "window": list(law.window)},
        "departed_at": left,
        "turn": None
        if turned is None
        else {
            "step": turned.step,
            "rise": turned.rise,
            "sigma": turned.sigma,
            "is_u_shaped": turned.is_u_shaped,
        },
    }


def _columns(curve: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [step for step, _ in curve], [value for _, value in curve]


def _positive(steps: Sequence[float], distances: Sequence[float]) -> tuple[Array, Array]:
    t, d = np.asarray(steps, dtype=np.float64), np.asarray(distances, dtype=np.float64)
    if t.shape != d.shape:
        raise ConfigError(f"steps and distances must be as many, got {t.size} and {d.size}.")
    if np.any(np.diff(t) <= 0):
        raise ConfigError("steps must increase, got one that does not. Sort the evaluations by step.")
    kept = (t >= 1) & (d > 0)
    return t[kept], d[kept]


def _memory(residuals: Array) -> float:
    """Lag-1 autocorrelation, corrected for its bias of -(1 + 4 r) / n over few points with a fitted line."""
    total = float((residuals**2).sum())
    found = float((residuals[1:] * residuals[:-1]).sum()) / total if total > 0 else 0.0
    return min(max(found + (1 + 4 * found) / len(residuals), 0.0), _LONGEST_MEMORY)


def _running_mean(values: Array, width: int) -> Array:
    """Mean of the last `width` values, of fewer at the start."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(1, len(values) + 1)
    starts = np.maximum(places - width, 0)
    return (sums[places] - sums[starts]) / (places - starts)
