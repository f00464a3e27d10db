"""Amounts as a person reads them."""

_MINUTE, _HOUR = 60, 3600


def duration(seconds: float | None) -> str:
    """A rough time in words."""
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"


def count(value: int | None) -> str:
    """A number of parameters or tokens; empty for none."""
    if not value:
        return ""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return str(value)


def size_of(size: float | None) -> str:
    """Bytes; empty for none."""
    if not size:
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
