"""Rows as a teacher with the student's token ids, but another chat format, reads them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from limbeck.rows.aligned.pairs import CHUNKS, Pair
from limbeck.rows.ragged import Ragged

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Indices = NDArray[np.int64]

NOBODY = -1
"""In the place of an entry or a rank: no target of the teacher answers."""


class Answering(NamedTuple):
    """Who answers the targets of a row of the student.

    Attributes:
        entries: [n] for each target in order, the teacher's row that answers it; `NOBODY` where none does.
        ranks: [n] which of that row's targets it is, counted from 0.
    """

    entries: Indices
    ranks: Indices


@dataclass(frozen=True)
class View:
    """Which targets of a teacher, in its own rendering of the rows, answer those of the student.

    Attributes:
        answering: by id of the student's row.
        ends: token of the student -> the teacher's that stands in its place: where a turn or a text ends.
    """

    answering: dict[str, Answering]
    ends: dict[int, int]


def writes_alike(first: "PreTrainedTokenizerBase", second: "PreTrainedTokenizerBase") -> bool:
    """Whether two tokenizers of the same ids write a conversation with the same marks."""
    formats = [(one.chat_template, one.bos_token, one.eos_token) for one in (first, second)]
    return formats[0] == formats[1]


def view_of(
    pair: Pair,
    student: Dataset,
    teacher: Dataset,
    *,
    data_row: Callable[[str], str],
    marks: Collection[int],
) -> View:
    """Which targets of `teacher` answer those of `student`, as the pair of both shows.

    A target is answered by the same token for the same piece of text; a mark that ends a turn by the
    teacher's mark that does. A token that one format glues to the marks around it is not answered.
    Where one template rewrites earlier turns, its conversations are several rows and the other's may be
    one: then targets are counted over all rows of a conversation.

    Args:
        pair: the rows rendered for both (`rows.aligned.pairs.render_pair`).
        student: the rows as the student reads them.
        teacher: the rows as the teacher does.
        data_row: id of a rendered row -> id of the data row it was made from.
        marks: ids of special tokens; only these may stand for one another.
    """
    ours, theirs = (_Targets.of(side) for side in (student, teacher))
    first, second = (_Targets.of(side) for side in pair)
    to_pair = _located(ours, first, data_row)
    across = _match(first.alone(), second.alone())
    to_teacher = _located(second, theirs, data_row)
    found = _chained(to_pair, across, to_teacher)
    are_marks = np.isin(ours.ids, list(marks)) & (found >= 0) & np.isin(theirs.ids[found], list(marks))
    ends = _ends(ours.ids[are_marks], theirs.ids[found[are_marks]])
    known = np.asarray([ends.get(one, one) for one in ours.ids.tolist()], dtype=np.int64)
    found = np.where((found >= 0) & (theirs.ids[found] == known), found, NOBODY)
    entries = np.where(found >= 0, theirs.rows[found], NOBODY)
    ranks = np.where(found >= 0, theirs.ranks[found], NOBODY)
    return View(
        {
            name: Answering(entries[start:stop], ranks[start:stop])
            for name, start, stop in zip(ours.names, ours.offsets[:-1], ours.offsets[1:], strict=True)
        },
        ends,
    )


@dataclass(frozen=True)
class _Targets:
    """The targets of all rows, one after another.

    Attributes:
        names: of the rows.
        ids: [n] tokens.
        rows: [n] row of each.
        ranks: [n] its place among the targets of its row.
        offsets: [rows + 1] where the targets of each row begin.
        chunks: [n] its chunk, -1 outside or where there are none.
    """

    names: list[str]
    ids: Indices
    rows: Indices
    ranks: Indices
    offsets: Indices
    chunks: Indices

    @classmethod
    def of(cls, rendered: Dataset) -> "_Targets":
        ids, loss_mask = (Ragged.of_column(rendered, name) for name in ("input_ids", "is_target"))
        row = np.repeat(np.arange(len(rendered)), ids.lengths)
        is_target = loss_mask.values.astype(np.bool_).copy()
        is_target[ids.offsets[:-1][ids.lengths > 0]] = False  # nothing predicts the first token of a row
        counts = np.bincount(row[is_target], minlength=len(rendered))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        chunks = np.full(int(offsets[-1]), NOBODY, dtype=np.int64)
        if CHUNKS in rendered.column_names:
            chunks = Ragged.of_column(rendered, CHUNKS).values[is_target].astype(np.int64)
        return cls(
            list(rendered["row_id"]),
            ids.values[is_target].astype(np.int64),
            row[is_target].astype(np.int64),
            np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts),
            offsets,
            chunks,
        )

    def alone(self) -> Indices:
        """[n] a number for the chunk of each target that is alone in its chunk, else -1."""
        keys = np.where(self.chunks >= 0, self.rows * _STRIDE + self.chunks, NOBODY)
        _, inverse, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        return np.where(sizes[inverse] == 1, keys, NOBODY)

    def keys(self, numbers: dict[str, int], name_of: Callable[[str], str]) -> Indices:
        """[n] a number for each target: its name's, and how many of that name came before."""
        named = np.asarray([numbers.setdefault(name_of(name), len(numbers)) for name in self.names], np.int64)
        group = named[self.rows] if len(self.rows) else self.rows
        order = np.argsort(group, kind="stable")
        counts = np.bincount(group, minlength=len(numbers))
        starts = np.concatenate([[0], np.cumsum(counts)])[:-1]
        place = np.empty(len(group), dtype=np.int64)
        place[order] = np.arange(len(group)) - np.repeat(starts, counts)
        return group * _STRIDE + place


_STRIDE = 1 << 32  # rows are numbered above it, targets or chunks of a row below


def _located(wanted: _Targets, there: _Targets, data_row: Callable[[str], str]) -> Indices:
    """[n] the same target in another rendering of one side, cut elsewhere or into other rows; -1: none."""
    same_rows = sorted(wanted.names) == sorted(there.names)
    name_of: Callable[[str], str] = (lambda name: name) if same_rows else data_row
    numbers: dict[str, int] = {}
    place = _match(wanted.keys(numbers, name_of), there.keys(numbers, name_of))
    return np.where((place >= 0) & (there.ids[place] == wanted.ids), place, NOBODY)


def _chained(*maps: Indices) -> Indices:
    """Maps of indices one after another; -1 stays -1."""
    found = maps[0]
    for following in maps[1:]:
        found = np.where(found >= 0, following[found], NOBODY)
    return found


def _match(wanted: Indices, keys: Indices) -> Indices:
    """Where each of `wanted` lies in `keys`; -1 where it does not, and for negative ones."""
    if not len(keys):
        return np.full(len(wanted), NOBODY, np.int64)
    order = np.argsort(keys)
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    found = (keys[order][place] == wanted) & (wanted >= 0)
    return np.where(found, order[place], NOBODY)


def _ends(ours: Indices, theirs: Indices) -> dict[int, int]:
    """Unlike marks in the same place: the commonest partner of each, if it is no other's as well."""
    unlike = ours != theirs
    pairs, counts = np.unique(np.stack([ours[unlike], theirs[unlike]]), axis=1, return_counts=True)
    ends: dict[int, int] = {}
    for place in np.argsort(-counts, kind="stable").tolist():
        one, other = pairs[:, place].tolist()
        if one not in ends and other not in ends.values():
            ends[one] = other
    return ends
