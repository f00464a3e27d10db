"""Ranks that wait for the first one wait long, and not for ever."""

from datetime import timedelta

import pytest

from limbeck.core.errors import ConfigError, LimbeckError
from limbeck.runs import ranks


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """How the processes were joined."""
    calls: list[dict[str, object]] = []
    monkeypatch.setattr(ranks, "PartialState", lambda **options: calls.append(options))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    return calls


def test_ranks_wait_for_half_a_day(joined):
    ranks.state()
    assert joined[0]["timeout"] == timedelta(hours=12)


def test_the_environment_says_otherwise(joined, monkeypatch):
    monkeypatch.setenv("LIMBECK_RANK_HOURS", "0.5")
    ranks.state()
    assert joined[0]["timeout"] == timedelta(minutes=30)


@pytest.mark.parametrize("hours", ["0", "-1", "long", "nan", "1e9"])
def test_a_time_that_is_none_is_refused(joined, monkeypatch, hours):
    monkeypatch.setenv("LIMBECK_RANK_HOURS", hours)
    with pytest.raises(ConfigError, match=f"must be a number of hours above 0, got {hours}"):
        ranks.state()


def test_a_single_process_waits_for_nobody(joined, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    ranks.state()
    assert "timeout" not in joined[0]


def test_a_rank_that_does_not_come_is_said(monkeypatch):
    class Alone:
        def wait_for_everyone(self) -> None:
            raise RuntimeError("Timed out waiting 3600ms for recv operation to complete")

    monkeypatch.setattr(ranks, "state", Alone)
    with pytest.raises(
        LimbeckError, match=r"must meet within 12 hours, .*Timed out.* LIMBECK_RANK_HOURS allows"
    ):
        ranks.wait()
