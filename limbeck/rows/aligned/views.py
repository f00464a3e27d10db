"""Rows as a teacher with the student's token ids, but another chat format, reads them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from limbeck.rows.aligned.pairs import CHUNKS, Pair
from limbeck.rows.ragged import Ragged

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNANSWERED = -1
"""Rank of the teacher's target that answers one of the student's, where none does."""


@dataclass(frozen=True)
class View:
    """Which targets of a teacher, in its own rendering of the rows, answer those of the student.

    Attributes:
        row_ids: of the rows.
        partners: for each row, for each target of the student in order, the rank of the teacher's
            target that stands for the same piece of text; `UNANSWERED` where none does.
        ends: token of the student -> the teacher's that stands in its place: where a turn or a text ends.
    """

    row_ids: list[str]
    partners: Ragged
    ends: dict[int, int]

    def of_rows(self, rendered: Dataset) -> dict[str, NDArray[np.int64]]:
        """The partners of each of the student's rendered rows, by its id; what was cut here is unanswered."""
        learnt = Ragged.of_column(rendered, "is_target")
        known = {name: place for place, name in enumerate(self.row_ids)}
        found = {}
        for place, name in enumerate(rendered["row_id"]):
            count = int(learnt[place][1:].sum())
            own = np.full(count, UNANSWERED, np.int64)
            if name in known:
                ranks = self.partners[known[name]][:count]
                own[: len(ranks)] = ranks
            found[name] = own
        return found


def writes_alike(first: "PreTrainedTokenizerBase", second: "PreTrainedTokenizerBase") -> bool:
    """Whether two tokenizers of the same ids write a conversation with the same marks."""
    formats = [(one.chat_template, one.bos_token, one.eos_token) for one in (first, second)]
    return formats[0] == formats[1]


def view_of(pair: Pair) -> View:
    """What rows that were rendered for both show (see `rows.aligned.pairs.render_pair`).

    A target is answered by the one that is the same piece of text in the teacher's tokens; a token that
    ends a turn by the teacher's token that does, where that is one token for one.
    """
    student, teacher = (_targets(side) for side in pair)
    where = _match(student.alone, teacher.alone)
    found = where >= 0
    ours, theirs = student.ids[found], teacher.ids[where[found]]
    ends = _ends(ours, theirs)
    unlike = ours != theirs
    kept = ~unlike | np.asarray(
        [ends.get(one) == other for one, other in zip(ours.tolist(), theirs.tolist(), strict=True)], bool
    )
    where[np.flatnonzero(found)[~kept]] = UNANSWERED
    ranks = np.where(where >= 0, teacher.ranks[where], UNANSWERED)
    return View(list(pair.student["row_id"]), Ragged(ranks, student.offsets), ends)


@dataclass(frozen=True)
class _Targets:
    """The targets of all rows: id, rank within the row, and a key for those alone in their chunk, else -1."""

    ids: NDArray[np.int64]
    ranks: NDArray[np.int64]
    alone: NDArray[np.int64]
    offsets: NDArray[np.int64]


_STRIDE = 1 << 32  # rows are numbered above it, chunks of a row below


def _targets(side: Dataset) -> _Targets:
    ids, learnt, chunks = (Ragged.of_column(side, name) for name in ("input_ids", "is_target", CHUNKS))
    row = np.repeat(np.arange(len(side)), ids.lengths)
    is_target = learnt.values.astype(np.bool_).copy()
    is_target[ids.offsets[:-1][ids.lengths > 0]] = False  # nothing predicts the first token of a row
    counts = np.bincount(row[is_target], minlength=len(side))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    ranks = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    chunk = chunks.values[is_target].astype(np.int64)
    keys = np.where(chunk >= 0, row[is_target] * _STRIDE + chunk, UNANSWERED)
    _, inverse, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    return _Targets(
        ids.values[is_target].astype(np.int64),
        ranks,
        np.where(sizes[inverse] == 1, keys, UNANSWERED),
        offsets,
    )


def _match(wanted: NDArray[np.int64], keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of `wanted` lies in `keys`; -1 where it does not, and for negative ones."""
    if not len(keys):
        return np.full(len(wanted), UNANSWERED, np.int64)
    order = np.argsort(keys)
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    found = (keys[order][place] == wanted) & (wanted >= 0)
    return np.where(found, order[place], UNANSWERED)


def _ends(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> dict[int, int]:
    """Unlike tokens in the same place: the commonest partner of each, if it is no other's as well."""
    unlike = ours != theirs
    pairs, counts = np.unique(np.stack([ours[unlike], theirs[unlike]]), axis=1, return_counts=True)
    ends: dict[int, int] = {}
    for place in np.argsort(-counts, kind="stable").tolist():
        one, other = pairs[:, place].tolist()
        if one not in ends and other not in ends.values():
            ends[one] = other
    return ends
