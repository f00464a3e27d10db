"""Schedules that watch metrics, against sequences printed by official code."""

import pytest

from limbeck.schedules.feedback import adaptive_interpolation, adaptive_share
from tests.parity import official


@pytest.mark.parametrize("settings", official.TAID_TRACES)
def test_taids_t_takes_the_official_values(settings):
    total, rate, momentum = settings
    rule = adaptive_interpolation(start=0.4, stop=1.0, rate=rate, momentum=momentum)
    trace = []
    for step, loss in enumerate(official.LOSSES):
        rule.observe(step, total, {"own": loss})
        trace.append(rule.at(step + 1, total))
    assert trace == pytest.approx(official.TAID_TRACES[settings], abs=1e-6)


def test_distillms_share_takes_the_official_values():
    rule = adaptive_share(tolerance=0.1)
    shares = []
    for step, loss in enumerate(official.VALIDATION_LOSSES):
        rule.observe(step, 5, {"validation_loss": loss})
        shares.append(rule.at(step + 1, 5))
    assert shares == pytest.approx(official.DISTILLM_SHARES)
