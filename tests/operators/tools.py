"""Functions that a scripted teacher calls."""

import time
from typing import Literal


def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: the one.
        b: the other.
    """
    return a + b


def city(name: str, unit: Literal["km", "mi"] = "km") -> dict[str, str]:
    """Say something of a city."""
    return {"name": name, "unit": unit}


def fail() -> str:
    """Fail."""
    raise OSError("disk is gone")


def sleep() -> str:
    """Take too long."""
    time.sleep(0.5)
    return "late"


async def later() -> str:
    """Be awaited."""
    return "no"


def by_place(a: int, /) -> int:
    """Take an argument that has no name."""
    return a
