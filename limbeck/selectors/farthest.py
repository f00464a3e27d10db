"""Texts that differ as much as they can."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from limbeck.selectors.pick import Pick

_BLOCK = 512  # texts that are compared with all others at once


def farthest(
    texts: Sequence[str],
    *,
    aim: Literal["nearest", "sum"] = "nearest",
    unit: Literal["characters", "words"] = "characters",
) -> Iterator[Pick]:
    """The two texts farthest apart by edit distance, then each time the one farthest from the chosen ones.

    Distances are Levenshtein's, divided by the length of the longer text, so that long texts do not win by
    their length. With `within: QUESTION` in the step, it is DED's choice of trajectories: the most different
    right answers to each question. The first pair costs O(N^2) distances.

    Args:
        texts: [N].
        aim: "nearest" takes the text whose nearest chosen one is farthest (max-min); "sum" the one with the
            largest sum of distances (max-sum).
        unit: what is inserted, deleted and replaced; "words" is for texts of thousands of characters.

    Returns:
        All rows; the score is the distance (or the mean of distances) to those chosen before. Of equal ones
        the earlier row comes first.

    Raises:
        ConfigError: never.

    Example:
        >>> [pick.row for pick in farthest(["aaaa", "aaab", "bbbb", "abab"])]
        [0, 2, 3, 1]

    Source:
        Wu et al. 2025 (DED), arXiv:2508.09883, which says "the farthest" of several; both readings are here.
        Distances by rapidfuzz.
    """
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    parts = [text.split() if unit == "words" else text for text in texts]
    if not parts:
        return

    def distances(some: Sequence[Sequence[str]]) -> np.ndarray:
        return np.asarray(cdist(some, parts, scorer=Levenshtein.normalized_distance, dtype=np.float32))

    score, first, second = 0.0, 0, None
    for start in range(0, len(parts), _BLOCK):
        block = distances(parts[start : start + _BLOCK])
        place = int(block.argmax())
        if block.flat[place] > score:
            score = float(block.flat[place])
            first, second = start + place // len(parts), place % len(parts)
    yield Pick(first, 0.0)
    near = distances([parts[first]])[0]
    near[first] = -np.inf
    for taken in range(1, len(parts)):
        row = second if taken == 1 and second is not None else int(near.argmax())
        yield Pick(row, float(near[row]) / (taken if aim == "sum" else 1))
        new = distances([parts[row]])[0]
        near = near + new if aim == "sum" else np.minimum(near, new)
        near[row] = -np.inf
