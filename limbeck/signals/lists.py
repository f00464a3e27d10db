"""Lists of likely ids: a position names the list that suits it, then places in that list.

The ids a teacher finds likely are few and come in company. Up to 128 rankings of ids are learnt from a
store's first shard (k-means with code length as the distance); an id then costs the bits of its place in
a ranking, not of the vocabulary. Places are cut into three classes of growing width; a fourth
class writes the id itself.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

CLASSES = 4
_MOST_LISTS, _POSITIONS_A_LIST = 128, 1024  # 256 lists gained less than 0.1 bytes a position
_LEARNT_FROM, _ROUNDS = 32_768, 8  # positions and rounds of k-means; more gained nothing on real teachers
_WIDEST_CLASS = 11
_SMOOTHING = 0.05


@dataclass(frozen=True)
class Lists:
    """Rankings of ids.

    Attributes:
        ids: [C, S] the S likeliest ids of each list, likeliest first; -1 where a list is shorter.
        widths: bits of a code in each of the four classes; the last one writes ids.
        vocabulary: ids lie below it.
    """

    ids: NDArray[np.int32]
    widths: tuple[int, ...]
    vocabulary: int

    @property
    def starts(self) -> NDArray[np.int64]:
        """[4] place at which each class begins."""
        return np.concatenate([[0], np.cumsum([1 << width for width in self.widths[:-1]])])

    def place(
        self, ids: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The cheapest list of each position [N], and the places of its ids there [E], S where absent."""
        inside = self._known[ids]
        borders = np.concatenate([[0], np.cumsum(counts)])
        width = self._places.shape[1]
        sets = sparse.csr_matrix((np.ones(len(ids), np.float32), inside, borders), shape=(len(counts), width))
        chosen = np.asarray(sets @ self._bits).argmin(1)
        places: NDArray[np.int64] = self._places[np.repeat(chosen, counts), inside].astype(np.int64)
        return chosen.astype(np.uint8), places

    @cached_property
    def _listed(self) -> NDArray[np.int32]:
        return np.unique(self.ids[self.ids >= 0])

    @cached_property
    def _known(self) -> NDArray[np.int32]:
        """[V] number of an id among the listed ones; unlisted ids share the last number."""
        found = np.full(self.vocabulary, len(self._listed), dtype=np.int32)
        found[self._listed] = np.arange(len(self._listed))
        return found

    @cached_property
    def _places(self) -> NDArray[np.int32]:
        """[C, listed + 1] place of every listed id in every list; S where it is not there."""
        lists, size = self.ids.shape
        found = np.full((lists, len(self._listed) + 1), size, dtype=np.int32)
        rows, columns = np.nonzero(self.ids >= 0)
        found[rows, self._known[self.ids[rows, columns]]] = columns
        return found

    @cached_property
    def _bits(self) -> NDArray[np.float32]:
        """[listed + 1, C] bits of every listed id in every list."""
        classes = np.searchsorted(self.starts[1:], self._places, side="right")
        return np.ascontiguousarray(np.asarray(self.widths, np.float32)[classes].T)


def learn(ids: NDArray[np.int64], counts: NDArray[np.int64], vocabulary: int, positions: int) -> Lists:
    """Lists for some positions and others like them.

    Args:
        ids: [E] of all positions, likeliest first within each, one position after another.
        counts: [N] ids of each position, at least 1.
        vocabulary: ids lie below it.
        positions: that the lists will serve in all; few of them are not worth many lists.
    """
    apart = -(-len(counts) // _LEARNT_FROM)
    is_some = np.arange(len(counts)) % apart == 0
    ids, counts = ids[np.repeat(is_some, counts)], counts[is_some]
    borders = np.concatenate([[0], np.cumsum(counts)])
    ones = np.ones(len(ids), np.float32)
    sets = sparse.csr_matrix((ones, ids, borders), shape=(len(counts), vocabulary))
    lists = max(1, min(_MOST_LISTS, positions // _POSITIONS_A_LIST))
    chosen = ids[borders[:-1]] % lists  # positions with one likeliest id begin together
    for _ in range(_ROUNDS if lists > 1 else 0):
        chosen = np.asarray(sets @ _code_lengths(_counts(sets, chosen, lists)).T).argmin(1)
    often = _counts(sets, chosen, lists)
    overall = often.sum(0)
    # Ties go by how often an id occurs at all.
    order = np.argsort(-(often + overall / (overall.max(initial=0) + 1)), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(vocabulary)[None].repeat(lists, 0), 1)
    share = max(1.0, positions / len(counts))
    widths = _widths(ranks[np.repeat(chosen, counts), ids], lists, vocabulary, share)
    size = sum(1 << width for width in widths[:-1])
    table = np.full((lists, size), -1, dtype=np.int32)
    known = min(size, int((overall > 0).sum()))
    table[:, :known] = order[:, :known]
    return Lists(table, widths, vocabulary)


def id_bits(vocabulary: int) -> int:
    """Bits of an id written out."""
    return max(1, (vocabulary - 1).bit_length())


def _counts(sets: sparse.csr_matrix, chosen: NDArray[np.int64], lists: int) -> NDArray[np.float32]:
    count = len(chosen)
    member = sparse.csr_matrix((np.ones(count, np.float32), (chosen, np.arange(count))), shape=(lists, count))
    found: NDArray[np.float32] = (member @ sets).toarray()
    return found


def _code_lengths(often: NDArray[np.float32]) -> NDArray[np.float32]:
    overall = often.sum(0)
    smooth = often + _SMOOTHING * overall * (often.shape[1] / max(float(overall.sum()), 1.0)) + 1e-3
    found: NDArray[np.float32] = -np.log2(smooth / smooth.sum(1, keepdims=True)).astype(np.float32)
    return found


def _widths(places: NDArray[np.int64], lists: int, vocabulary: int, share: float) -> tuple[int, ...]:
    """The class widths that write these places `share` times, and the lists once, in the fewest bits."""
    written = id_bits(vocabulary)
    below = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=1))])

    def bits(widths: tuple[int, ...]) -> float:
        total, start = 0, 0
        for width in widths:
            stop = start + (1 << width)
            total += width * int(below[min(stop, len(below) - 1)] - below[min(start, len(below) - 1)])
            start = stop
        rest = int(below[-1] - below[min(start, len(below) - 1)])
        return share * (total + rest * written) + 32 * lists * start

    choices = itertools.combinations_with_replacement(range(1, min(_WIDEST_CLASS, written) + 1), 3)
    return (*min(choices, key=bits), written)
