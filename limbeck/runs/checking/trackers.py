"""Trackers that a training reports to."""

from collections.abc import Sequence

from accelerate.tracking import get_available_trackers

from limbeck.core.errors import ConfigError, Problem


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that are not installed.

    Raises:
        ConfigError: with what to install.
    """
    installed = {str(one.value) for one in get_available_trackers()} if names else set()
    lacking = [name for name in names if name not in installed]
    if lacking:
        raise ConfigError(
            Problem(
                "report_to",
                f"must be installed trackers, got {', '.join(lacking)}, which this environment lacks. Run "
                f"`pip install {' '.join(lacking)}`, or leave it out: metrics.jsonl has every step.",
            )
        )
