"""The finest chunks of a text that begin and end at the same byte for two tokenizers."""

import numpy as np
from numpy.typing import NDArray

Ends = NDArray[np.int64]

OUTSIDE = -1
"""Number of the chunk of a token that is in none."""


def chunk_numbers(student_ends: Ends, teacher_ends: Ends) -> tuple[Ends, Ends]:
    """The chunk of each token, counted from 0: a chunk ends wherever both sides end a token.

    No finer chunks have equal bytes on both sides. A token of no bytes belongs to the chunk that ends
    where it does. Many texts are cut in one call by letting each begin where the one before it ended.

    Args:
        student_ends: [n] byte at which each of the student's tokens ends, never falling.
        teacher_ends: [m] the same of the teacher's.

    Returns:
        [n] and [m] never falling chunk numbers; OUTSIDE behind the last byte that both sides end at.

    Source:
        The alignment of Minixhofer et al. 2025 (ALM), arXiv:2503.20083. Theirs walks two pointers over
        tokens rewritten as bytes, and a begin token of one side beside a space mark of the other leads it
        astray; ours compares places in the text, where such marks have no bytes.
    """
    borders = common_borders(student_ends, teacher_ends)
    return _numbers(borders, student_ends), _numbers(borders, teacher_ends)


def common_borders(student_ends: Ends, teacher_ends: Ends) -> Ends:
    """The bytes at which both sides end a token, each once, rising."""
    return student_ends[_last_of_equals(student_ends) & np.isin(student_ends, teacher_ends)]


def _last_of_equals(ends: Ends) -> NDArray[np.bool_]:
    return np.append(ends[1:] != ends[:-1], np.ones(min(len(ends), 1), dtype=np.bool_))


def _numbers(borders: Ends, ends: Ends) -> Ends:
    numbers = np.searchsorted(borders, ends, side="left").astype(np.int64)
    return np.where(numbers == len(borders), OUTSIDE, numbers)
