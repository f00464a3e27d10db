"""The detectors of teacher hacking on curves whose truth is known."""

import math

import numpy as np
import pytest

from limbeck.core.errors import ConfigError
from limbeck.evaluation.hacking import departure, fit_power_law, hacking, turn

SEEDS = range(20)
STEPS = np.arange(10, 1001, 10)


def noisy(values, seed, share=0.05):
    return values * np.exp(share * np.random.default_rng(seed).standard_normal(len(values)))


def law(t):
    return t**-0.7


def flattened(t):
    return np.where(t <= 300, law(t), 300**-0.7)


def u_shape(t):
    # Falls as exp(-t / 100) towards a floor that rises from step 300 on, by half until step 1000.
    return np.exp(-t / 100) + 0.2 * (1 + 0.5 * np.clip((t - 300) / 700, 0, None))


def test_the_fit_gives_back_a_pure_law():
    found = fit_power_law(STEPS, 2.0 * law(STEPS), window=(30, 200))
    assert (found.a, found.k) == pytest.approx((math.log(2), 0.7))
    assert found.sigma == pytest.approx(0, abs=1e-12)
    assert (found.window, found.n) == ((30, 200), 18)
    assert found.at([100.0])[0] == pytest.approx(2 * 100**-0.7)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("window", [(30, 200), None])
def test_a_curve_that_flattens_at_300_is_flagged_before_600(seed, window):
    curve = noisy(flattened(STEPS), seed)
    found = departure(STEPS, curve, fit_power_law(STEPS, curve, window=window))
    assert found is not None and 300 < found < 600


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("window", [(30, 200), None])
def test_a_pure_law_with_noise_is_never_flagged(seed, window):
    curve = noisy(law(STEPS), seed)
    assert departure(STEPS, curve, fit_power_law(STEPS, curve, window=window)) is None


def test_noise_that_remembers_is_seldom_called_a_departure():
    # Lag-1 autocorrelation 0.9: single residuals say little of how far the curve strays.
    flagged = 0
    for seed in range(60):
        shocks = np.random.default_rng(seed).standard_normal(len(STEPS)) * 0.05 * math.sqrt(1 - 0.9**2)
        noise = np.zeros(len(STEPS))
        for step in range(1, len(STEPS)):
            noise[step] = 0.9 * noise[step - 1] + shocks[step]
        curve = law(STEPS) * np.exp(noise)
        flagged += departure(STEPS, curve, fit_power_law(STEPS, curve)) is not None
    assert flagged <= 8


def test_a_curve_that_falls_faster_than_its_law_is_not_flagged():
    curve = noisy(np.where(STEPS <= 300, law(STEPS), law(STEPS) * (STEPS / 300.0) ** -1), 0)
    assert departure(STEPS, curve, fit_power_law(STEPS, curve)) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_golden_curve_that_turns_up_is_found_and_one_that_falls_is_not(seed):
    found = turn(STEPS, noisy(u_shape(STEPS), seed, 0.03))
    # d/dt = 0 where exp(-t / 100) / 100 = 0.1 / 700 and behind 300: t = 100 ln 70 = 425.
    assert found.is_u_shaped and 300 < found.step < 560
    assert not turn(STEPS, noisy(law(STEPS), seed)).is_u_shaped
    assert not turn(STEPS, noisy(np.full(len(STEPS), 0.5), seed)).is_u_shaped


def test_verdicts():
    def curve(values):
        return list(zip(STEPS.tolist(), values.tolist(), strict=True))

    falling, flat, up = (noisy(shape(STEPS), 1, 0.02) for shape in (law, flattened, u_shape))
    assert hacking(curve(falling), curve(falling))["verdict"] == "sound"
    assert hacking(curve(flat), curve(falling))["verdict"] == "departed"
    found = hacking(curve(flat), curve(up))
    assert found["verdict"] == "hacking" and 300 < found["departed_at"] < 600
    assert hacking(curve(up), curve(up))["verdict"] == "diverging"
    assert hacking(curve(falling)[:4], curve(falling)[:4]) == {
        "verdict": "too_few", "law": None, "departed_at": None, "turn": None
    }  # fmt: skip


def test_steps_out_of_order_are_refused():
    with pytest.raises(ConfigError, match="steps must increase"):
        turn([1, 3, 2], [1.0, 1.0, 1.0])
