"""Packing puts every row into one pack, tightly and fast."""

import time

import numpy as np
import pytest

from limbeck.core.errors import RowError
from limbeck.rows.pack import pack


def test_rows_that_fill_each_other_share_a_pack():
    # By hand: 6+4, 7+3 and 5+5 are the only packs of 10 without waste.
    packs = pack([6, 3, 5, 7, 4, 5], 10, seed=0)
    assert sorted(sorted(one) for one in packs) == [[0, 4], [1, 3], [2, 5]]


def test_the_fullest_pack_with_room_is_taken():
    # 8 and 6 open two packs; 2 fits both and goes to the pack of 8, so that 4 still fits behind 6.
    assert sorted(sorted(one) for one in pack([8, 6, 4, 2], 10, seed=0)) == [[0, 3], [1, 2]]


@pytest.mark.parametrize("seed", range(3))
def test_every_index_is_packed_once_and_no_pack_overflows(seed):
    lengths = np.random.default_rng(seed).integers(1, 513, size=2000).tolist()
    packs = pack(lengths, 512, seed)
    assert sorted(index for one in packs for index in one) == list(range(2000))
    assert max(sum(lengths[index] for index in one) for one in packs) <= 512
    assert sum(lengths) / (512 * len(packs)) > 0.98


def test_the_seed_decides_the_packs():
    lengths = [3] * 50
    assert pack(lengths, 6, seed=1) == pack(lengths, 6, seed=1)
    assert pack(lengths, 6, seed=1) != pack(lengths, 6, seed=2)


def test_nothing_gives_no_packs():
    assert pack([], 8, seed=0) == []


def test_a_row_longer_than_a_pack_is_refused():
    with pytest.raises(RowError, match="must fit into a pack of 8 tokens, got one of 9"):
        pack([4, 9], 8, seed=0)


def test_a_hundred_thousand_rows_take_seconds():
    lengths = np.random.default_rng(0).integers(1, 4097, size=100_000).tolist()
    start = time.perf_counter()
    pack(lengths, 4096, seed=0)
    assert time.perf_counter() - start < 10
