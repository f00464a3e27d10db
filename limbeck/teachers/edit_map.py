"""Which token of a teacher is spelt most like each token of a student with another tokenizer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist
from torch import Tensor

from limbeck.core.errors import VocabularyError
from limbeck.core.files import read_json, write_json
from limbeck.core.fingerprint import fingerprint

_CELLS = 2**24  # distances held at a time
_RULE = 1  # what a change of the rule of choice must count up, since maps are kept on disk


def edit_map(
    student_tokens: Sequence[bytes],
    teacher_tokens: Sequence[bytes],
    *,
    cache: Path | None = None,
    workers: int = 1,
) -> Tensor:
    """For each token of the student, the teacher's token of least edit distance.

    Args:
        student_tokens: spelling of every id, in order; the same alphabet as the teacher's (bytes, with
            spaces as spaces). Empty ones (special tokens) get -1.
        teacher_tokens: likewise; empty ones are never chosen.
        cache: folder that keeps maps, named after both vocabularies; None: nothing is kept.
        workers: threads; -1 for one on each core.

    Returns:
        int64 [V] ids of the teacher, -1 where the student's token has no spelling. The identical token
        where there is one; among equally distant ones the one nearest in length, the
        shorter before the longer, then the lowest id.

    Raises:
        VocabularyError: no token of the teacher has a spelling.

    Source:
        MinED, Wan et al. 2024 (FuseLLM), arXiv:2401.10491; bminixhofer/tokenkit,
        `tokenkit/baseline_utils.py:compute_mined_mapping`. We differ: among equals theirs takes
        the first of an order by length, and distances here are of bytes, not of letters that stand for them.
    """
    if not any(teacher_tokens):
        raise VocabularyError("the teacher must have a token with a spelling, got none.")
    if cache is None:
        return torch.from_numpy(_map(student_tokens, teacher_tokens, workers))
    spelt = [[_letters(token) for token in side] for side in (student_tokens, teacher_tokens)]
    path = cache / f"edit_map_{fingerprint([_RULE, *spelt])}.json"
    if not path.is_file():
        write_json(path, _map(student_tokens, teacher_tokens, workers).tolist())
    return torch.tensor(read_json(path), dtype=torch.long)


def _map(student: Sequence[bytes], teacher: Sequence[bytes], workers: int) -> NDArray[np.int64]:
    ids: dict[bytes, int] = {}  # in the order of ids, the lowest of several equal tokens
    for place, token in enumerate(teacher):
        if token:
            ids.setdefault(token, place)
    found = np.array([ids.get(token, -1) for token in student], dtype=np.int64)
    missing = dict.fromkeys(token for token, place in zip(student, found, strict=True) if place < 0 and token)
    shelves = _by_length(ids)
    nearest: dict[bytes, bytes] = {}
    for length, tokens in _by_length(missing).items():
        nearest |= _nearest(tokens, length, shelves, workers)
    for place, token in enumerate(student):
        if found[place] < 0 and token:
            found[place] = ids[nearest[token]]
    return found


def _nearest(
    tokens: Sequence[bytes], length: int, shelves: Mapping[int, Sequence[bytes]], workers: int
) -> dict[bytes, bytes]:
    """For tokens of one length, the nearest of the teacher's, which stand sorted by length."""
    best = np.full(len(tokens), np.iinfo(np.uint16).max, dtype=np.uint16)
    chosen: list[bytes] = [b""] * len(tokens)
    for other in sorted(shelves, key=lambda other: (abs(other - length), other)):
        # A distance is at least the difference of lengths: only a token beyond it can still come nearer.
        open_places = np.flatnonzero(best > abs(other - length))
        if not len(open_places):
            break
        shelf = [_letters(token) for token in shelves[other]]
        for places in _batches(open_places, len(shelf)):
            queries = [_letters(tokens[place]) for place in places]
            distances = cdist(
                queries,
                shelf,
                scorer=Levenshtein.distance,
                score_cutoff=int(best[places].max()),
                dtype=np.uint16,
                workers=workers,
            )
            columns = distances.argmin(1)
            least = distances[np.arange(len(places)), columns]
            for place, column, distance in zip(places, columns, least, strict=True):
                if distance < best[place]:
                    best[place], chosen[place] = distance, shelves[other][column]
    return dict(zip(tokens, chosen, strict=True))


def _batches(places: NDArray[np.intp], width: int) -> Iterator[NDArray[np.intp]]:
    height = max(1, _CELLS // width)
    for start in range(0, len(places), height):
        yield places[start : start + height]


def _by_length(tokens: Iterable[bytes]) -> dict[int, list[bytes]]:
    shelves: dict[int, list[bytes]] = {}
    for token in tokens:
        shelves.setdefault(len(token), []).append(token)
    return shelves


def _letters(token: bytes) -> str:
    """One letter a byte: strings are compared faster."""
    return token.decode("latin-1")
