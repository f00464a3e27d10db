"""Rules that watch metrics: the traces of the papers, and states that a checkpoint keeps."""

import json

import pytest

from limbeck.schedules import adaptive_interpolation, adaptive_share

LOSSES = [2.0, 1.5, 1.4, 1.45, 1.3]


def trace(rule, metric: str, losses: list[float], total: int) -> list[float]:
    """The value after each loss."""
    found = []
    for step, loss in enumerate(losses):
        rule.observe(step, total, {metric: loss})
        found.append(rule.at(step + 1, total))
    return found


@pytest.mark.parametrize(
    ("total", "expected"),
    # SakanaAI/TAID, `distil_losses/taid.py:TAID.update_t`, one call for each loss.
    [
        (100, [0.4, 0.406, 0.412, 0.418, 0.424]),
        (100_000, [0.4, 0.40015, 0.4003, 0.400451, 0.400601]),
    ],
)
def test_taid_moves_as_the_official_code(total, expected):
    rule = adaptive_interpolation(start=0.4, stop=1.0, rate=5e-4, momentum=0.99)
    assert rule.at(0, total) == 0.4
    assert trace(rule, "own", LOSSES, total) == pytest.approx(expected, abs=1e-6)


def test_taid_says_how_often_it_was_ahead_of_the_line():
    fast, slow = adaptive_interpolation(), adaptive_interpolation()
    trace(fast, "own", LOSSES, 100_000)
    trace(slow, "own", LOSSES, 100)
    assert fast.state_dict()["steps_ahead"] == 4
    assert slow.state_dict()["steps_ahead"] == 0


def test_taid_never_passes_its_stop_and_never_goes_back():
    rule = adaptive_interpolation(start=0.2, stop=0.7, rate=0.4)
    found = trace(rule, "own", [3.0, 0.1, 5.0, 0.1, 9.0, 0.2, 0.1, 0.05], 6)
    assert found == sorted(found)
    assert max(found) == found[-1] == 0.7


def test_distillm_raises_the_share_against_the_loss_that_raised_it_last():
    # The first loss is the reference; 1.1 is compared with 1.2, and 1.31 too.
    rule = adaptive_share(tolerance=0.1, growth=0.1)
    assert rule.at(0, 10) == 0.0
    found = trace(rule, "validation_loss", [1.0, 1.05, 1.2, 1.1, 1.31], 10)
    assert found == [0.0, 0.0, 0.1, 0.1, 0.2]


def test_distillm_lets_steps_without_a_validation_pass():
    rule = adaptive_share()
    rule.observe(0, 10, {"validation_loss": 1.0})
    rule.observe(1, 10, {"loss": 5.0})
    rule.observe(2, 10, {"validation_loss": 1.2})
    assert rule.at(3, 10) == 0.1


def test_distillms_share_ends_at_one():
    rule = adaptive_share(growth=0.4)
    assert trace(rule, "validation_loss", [1.0, 2.0, 3.0, 4.0, 5.0], 9) == [0.0, 0.4, 0.8, 1.0, 1.0]


@pytest.mark.parametrize(
    ("make", "metric"), [(adaptive_interpolation, "own"), (adaptive_share, "validation_loss")]
)
def test_a_restored_rule_goes_on_as_if_nothing_had_happened(make, metric):
    losses = [1.0, 1.3, 0.9, 1.6, 1.9, 2.4]
    whole, first, second = make(), make(), make()
    expected = trace(whole, metric, losses, 50_000)
    trace(first, metric, losses[:3], 50_000)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for step, loss in enumerate(losses[3:], start=3):
        second.observe(step, 50_000, {metric: loss})
    assert second.at(6, 50_000) == expected[-1]
    assert second.state_dict() == whole.state_dict()
