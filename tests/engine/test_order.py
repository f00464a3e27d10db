"""Which rows a step sees."""

from limbeck.core.training import TrainingSettings
from limbeck.engine.order import Shuffles, micro_batches, steps_of


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
