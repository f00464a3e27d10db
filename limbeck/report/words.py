"""Numbers as people read them."""

from collections.abc import Mapping
from typing import Any

_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_MINUTE, _HOUR = 60, 3600


def number(value: float) -> str:
    """Three significant digits, without exponents in the usual range."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return f"{value:.1e}"
    digits = 3 - len(str(int(abs(value)))) if abs(value) >= 1 else 3
    return f"{value:.{max(digits, 0)}f}"


def percent(value: float) -> str:
    """A share as per cent with one decimal."""
    return f"{100 * value:.1f} %"


def points(value: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * value:.1f} points"


def count(value: float) -> str:
    """A count with a unit prefix: 3.46 M."""
    for size, suffix in _SUFFIXES:
        if value >= size:
            return f"{value / size:.3g} {suffix}"
    return f"{value:.0f}"


def gigabytes(value: float) -> str:
    """Bytes as GB or MB."""
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """1 h 5 min, 3 min 12 s, 4.2 s."""
    if seconds >= _HOUR:
        return f"{int(seconds // _HOUR)} h {int(seconds % _HOUR // _MINUTE)} min"
    if seconds >= _MINUTE:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"
    return f"{seconds:.1f} s"


def between(estimate: Mapping[str, Any], show: Any) -> str:
    """The interval of an estimate, `1.20 to 1.31`; empty without one."""
    bounds = estimate.get("interval")
    return f"{show(bounds[0])} to {show(bounds[1])}" if bounds else ""


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
