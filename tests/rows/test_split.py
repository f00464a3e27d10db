"""The held-out part depends on content and seed, not on order."""

import pytest
from datasets import Dataset

from limbeck.core.errors import ConfigError
from limbeck.rows.split import split_rows


def rows_of(texts):
    texts = list(texts)
    return Dataset.from_dict({"text": texts, "id": [f"f:{i}" for i in range(len(texts))]})


TEXTS = [f"row {i}" for i in range(100)]


@pytest.mark.parametrize(("heldout", "count"), [(0.1, 10), (0.101, 11), (7, 7), (0, 0), (0.0, 0)])
def test_a_fraction_is_rounded_up_and_a_number_is_exact(heldout, count):
    train, held = split_rows(rows_of(TEXTS), heldout, seed=0)
    assert (len(train), len(held)) == (100 - count, count)
    assert sorted(train["text"][:] + held["text"][:]) == sorted(TEXTS)


def test_a_fraction_is_taken_as_written():
    # 0.1 * 30 is 3.0000000000000004 in floating point.
    assert len(split_rows(rows_of(TEXTS[:30]), 0.1, seed=0)[1]) == 3


def test_membership_does_not_depend_on_order_or_ids():
    held = split_rows(rows_of(TEXTS), 0.2, seed=3)[1]
    again = split_rows(rows_of(reversed(TEXTS)), 0.2, seed=3)[1]
    assert set(held["text"]) == set(again["text"])


def test_another_seed_holds_out_other_rows():
    first, second = (set(split_rows(rows_of(TEXTS), 0.2, seed=seed)[1]["text"]) for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("seed", range(5))
def test_identical_rows_are_on_one_side(seed):
    train, held = split_rows(rows_of(TEXTS[:20] * 3), 0.2, seed=seed)
    assert len(held) == 12
    assert set(train["text"]).isdisjoint(held["text"])


@pytest.mark.parametrize("seed", range(8))
def test_a_group_of_identical_rows_that_overshoots_is_learnt_from(seed):
    train, held = split_rows(rows_of(TEXTS[:20] + ["same"] * 5), 4, seed=seed)
    assert len(held) == 4
    assert "same" not in held["text"][:]
    assert train["text"][:].count("same") == 5


def test_both_parts_keep_the_order_of_the_rows():
    for part in split_rows(rows_of(TEXTS), 0.3, seed=0):
        numbers = [int(row_id.split(":")[1]) for row_id in part["id"]]
        assert numbers == sorted(numbers)


def test_a_column_heldout_decides_alone_and_goes():
    rows = rows_of("abc").add_column("heldout", [False, True, False])
    train, held = split_rows(rows, 0.9, seed=0)
    assert train["text"][:] == ["a", "c"]
    assert held["text"][:] == ["b"]
    assert "heldout" not in held.column_names


@pytest.mark.parametrize("heldout", [-0.1, 1.0, 100, -1, float("nan")])
def test_a_part_that_leaves_nothing_to_learn_from_is_refused(heldout):
    with pytest.raises(ConfigError, match="heldout must be a fraction in"):
        split_rows(rows_of(TEXTS), heldout, seed=0)
