"""Aligned pairs are made once, also by several processes that need them at the same time."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from datasets import Dataset

from limbeck.rows.aligned.cache import kept
from tests.tiny import tiny_tokenizer

ROWS = Dataset.from_dict({"text": ["one", "two"]})
PAIR = (Dataset.from_dict({"input_ids": [[1], [2]]}), Dataset.from_dict({"input_ids": [[3], [4]]}))


def test_of_two_that_need_the_same_pairs_one_makes_them_and_the_other_waits(tmp_path: Path):
    made: list[float] = []

    def slow() -> tuple[Dataset, Dataset]:
        made.append(time.perf_counter())
        time.sleep(0.05)  # long enough for the other to come
        return PAIR

    sides = (tiny_tokenizer(), tiny_tokenizer())
    with ThreadPoolExecutor(2) as pool:  # locks are of an open file, not of a process
        asked = [pool.submit(kept, tmp_path, ROWS, sides, ["choice"], slow) for _ in range(2)]
        found = [one.result() for one in asked]
    assert len(made) == 1
    assert [[side["input_ids"] for side in pair] for pair in found] == [[[[1], [2]], [[3], [4]]]] * 2


def test_pairs_that_could_not_be_made_are_made_the_next_time(tmp_path: Path):
    def fail() -> tuple[Dataset, Dataset]:
        raise KeyboardInterrupt

    sides = (tiny_tokenizer(), tiny_tokenizer())
    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, ROWS, sides, [], fail)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
    assert kept(tmp_path, ROWS, sides, [], lambda: PAIR)[1]["input_ids"] == [[3], [4]]
