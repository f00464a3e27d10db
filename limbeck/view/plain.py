"""Values of rows as JSON that every browser reads as it was meant."""

import base64
import math
from collections.abc import Mapping
from typing import Any

_EXACT = 2**53
"""Whole numbers up to here are themselves in JavaScript."""


def plain(value: Any) -> Any:
    """A value as JSON can hold it; what JSON has no word for becomes text.

    Args:
        value: of a row: texts, numbers, lists, mappings, bytes, times.

    Example:
        >>> plain({"score": float("nan"), "seed": 2**60, "kept": True})
        {'score': 'NaN', 'seed': '1152921504606846976', 'kept': True}
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if -_EXACT <= value <= _EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _FLOATS.get(value, "NaN")
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bytes):
        return f"{len(value):,} bytes: {base64.b64encode(value[:_BYTES]).decode()}"
    return str(value)


def characters(value: Any) -> int:
    """How many characters the texts in a plain value have, names of fields left out."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(characters(one) for one in value.values())
    if isinstance(value, list):
        return sum(characters(one) for one in value)
    return 0


_FLOATS = {math.inf: "Infinity", -math.inf: "-Infinity"}
_BYTES = 48  # shown of bytes
