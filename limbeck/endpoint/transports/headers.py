"""What servers say of their limits in the headers of an answer."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_REMAINING = re.compile(r"(anthropic|x)-ratelimit-(?:remaining-(.+)|(.+)-remaining)")


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Seconds that a server asks to wait, by `retry-after-ms` or `retry-after` (seconds or a date).

    Example:
        >>> retry_after({"retry-after": "2"})
        2.0
        >>> retry_after({"retry-after-ms": "250"})
        0.25
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        told = headers.get(name)
        if told is None:
            continue
        try:
            seconds = float(told) * unit
        except ValueError:
            seconds = _until(told, now)
        if 0 <= seconds < float("inf"):
            return seconds
    return None


def wait(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Seconds until a server takes another call, where it says that nothing remains until then.

    Reads `x-ratelimit-remaining-*` beside `-reset-*` (1s, 6m0s, 20ms) and `anthropic-ratelimit-*-remaining`
    beside `-reset` (a time). None: something remains, or the server says nothing.

    Example:
        >>> wait({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m0.5s"})
        60.5
        >>> wait({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "1s"})
    """
    waits = []
    for name, value in headers.items():
        match = _REMAINING.fullmatch(name.lower())
        if match is None or value.strip() not in ("0", "0.0"):
            continue
        kind, what = match[1], match[2] or match[3]
        reset = headers.get(f"{kind}-ratelimit-reset-{what}") or headers.get(f"{kind}-ratelimit-{what}-reset")
        if reset is not None and (seconds := _duration(reset, now)) is not None:
            waits.append(seconds)
    return max(waits, default=None)


def _duration(told: str, now: datetime | None) -> float | None:
    parts = _PART.findall(told)
    if parts and "".join(number + unit for number, unit in parts) == told.strip():
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        return max(0.0, float(told))
    except ValueError:
        seconds = _until(told, now)
        return None if seconds == float("inf") else seconds


def _until(told: str, now: datetime | None) -> float:
    """Seconds until a time, 0 if it is over; infinity where it is none."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            when = read(told)
        except (ValueError, TypeError):
            continue
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
    return float("inf")
