"""Which rows a step sees."""

from collections import Counter
from typing import ClassVar

import pytest

from limbeck.core.training import TrainingSettings
from limbeck.engine import train
from limbeck.engine.order import Shuffles, micro_batches, order_of, steps_of
from tests.engine.world import Rows, student_party


def test_every_epoch_sees_every_entry_once() -> None:
    order = Shuffles(7, seed=3)
    first, second = order.take(0, 7), order.take(7, 7)
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second


def test_the_stream_is_the_same_however_it_is_cut() -> None:
    whole = Shuffles(7, seed=3).take(0, 30)
    order = Shuffles(7, seed=3)
    assert [order.take(start, 5) for start in range(0, 30, 5)] == [
        whole[start : start + 5] for start in range(0, 30, 5)
    ]
    assert Shuffles(7, seed=3).take(11, 4) == whole[11:15]


def test_ranks_share_a_step_without_overlap() -> None:
    entries = list(range(12))
    zero = list(micro_batches(entries, 2, rank=0, ranks=2))
    one = list(micro_batches(entries, 2, rank=1, ranks=2))
    assert zero == [[0, 1], [4, 5], [8, 9]]
    assert one == [[2, 3], [6, 7], [10, 11]]


def test_epochs_are_rounded_up_to_whole_steps_and_max_steps_wins() -> None:
    settings = TrainingSettings(
        per_device_train_batch_size=4, gradient_accumulation_steps=2, num_train_epochs=3
    )
    assert steps_of(settings, entries=10, ranks=1) == 4  # 30 entries in steps of 8
    assert steps_of(settings, entries=10, ranks=2) == 2  # in steps of 16
    assert steps_of(settings.model_copy(update={"max_steps": 9}), entries=10, ranks=1) == 9


def test_rows_come_as_they_lie_there_where_their_order_is_given() -> None:
    order = order_of(TrainingSettings(order="given"), 5, 12)
    assert order.take(0, 12) == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert order.take(3, 4) == [3, 4, 0, 1]


def test_competence_reaches_the_hard_rows_late_and_takes_all_equally_often() -> None:
    settings = TrainingSettings(order="competence", competence_start=0.25, competence_shape="linear", seed=1)
    order = order_of(settings, 20, 70)  # three passes and a half
    stream = order.take(0, 70)
    assert sorted(set(Counter(stream).values())) == [3, 4] and Counter(stream).total() == 70
    for place, entry in enumerate(stream):
        assert entry < 20 * (0.25 + 0.75 * place / 70) + 2  # what is in reach may run out an entry early
    assert order.take(13, 8) == stream[13:21]
    assert stream != order_of(settings.model_copy(update={"seed": 2}), 20, 70).take(0, 70)


def test_less_than_a_pass_draws_which_rows_are_seen_at_all() -> None:
    stream = order_of(TrainingSettings(order="competence"), 20, 8).take(0, 8)
    assert len(set(stream)) == 8


@pytest.mark.parametrize(("size", "accumulation"), [(4, 2), (2, 4), (8, 1)])
def test_the_loop_takes_rows_in_the_order_that_is_given_however_steps_are_cut(tmp_path, size, accumulation):
    class Watched(Rows):
        taken: ClassVar[list[int]] = []

        def batch(self, indices):
            self.taken += indices
            return super().batch(indices)

    Watched.taken.clear()
    party = student_party(
        order="given", per_device_train_batch_size=size, gradient_accumulation_steps=accumulation, max_steps=4
    )
    train([party], Watched(), folder=tmp_path)
    assert Watched.taken == [*range(24), *range(8)]
