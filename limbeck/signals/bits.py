"""Bit streams: values of different widths end to end, packed and read many at once.

Bit i of a stream is bit i % 8 of byte i // 8, counted from the least significant.
"""

import numpy as np
from numpy.typing import NDArray

MOST_BITS = 25
"""Widest value: with up to 7 bits before it, it still fits the 32 bits that are read at once."""

_SPARE = 8  # bytes behind a stream, so that reading 32 bits at its last bit stays inside


def pack(
    values: NDArray[np.int64], widths: NDArray[np.int64], starts: NDArray[np.int64], size: int
) -> NDArray[np.uint8]:
    """A stream of `size` bytes that holds `values` [n], each of `widths` [n] bits, at bits `starts` [n]."""
    assert not len(values) or widths.max() <= MOST_BITS
    words = -(-size // 4) + 2
    place, shift = starts >> 5, (starts & 31).astype(np.uint64)
    shifted = values.astype(np.uint64) << shift
    # Values do not overlap, so that adding is joining; sums stay below 2^32, exact in the counts' float64.
    low = np.bincount(place, (shifted & np.uint64(0xFFFFFFFF)).astype(np.float64), minlength=words)
    high = np.bincount(place + 1, (shifted >> np.uint64(32)).astype(np.float64), minlength=words)
    joined = low.astype(np.uint64) + high[:words].astype(np.uint64)
    return joined.astype("<u4").view(np.uint8)[:size]


def mark(places: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """A stream of `size` bytes with ones at bits `places` and zeros elsewhere."""
    bits = np.zeros(8 * size, dtype=np.bool_)
    bits[places] = True
    return np.packbits(bits, bitorder="little")


def windows(stream: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """[bytes] the 32 bits from each byte on; `windows(s)[i >> 3] >> (i & 7)` begins at bit i."""
    padded = np.zeros(len(stream) + _SPARE, dtype=np.uint8)
    padded[: len(stream)] = stream
    overlapping: NDArray[np.uint32] = np.ndarray((len(stream) + 1,), "<u4", padded, strides=(1,))
    return overlapping.astype(np.uint32)
