"""Which entries a step learns from where nobody else chooses: a function of the seed and the step alone."""

from collections.abc import Iterator

from limbeck.core.seeds import generator
from limbeck.core.training import TrainingSettings


class Shuffles:
    """An endless stream of entries: one shuffle of all of them after another.

    A step takes the next entries of the stream, so it is always full: when an epoch does not
    divide evenly, its last step is filled from the next shuffle.
    """

    def __init__(self, entries: int, seed: int) -> None:
        self._entries = entries
        self._seed = seed
        self._epoch = -1
        self._shuffled: list[int] = []

    def take(self, start: int, count: int) -> list[int]:
        """`count` entries from position `start` of the stream."""
        return [self._at(position) for position in range(start, start + count)]

    def _at(self, position: int) -> int:
        epoch, place = divmod(position, self._entries)
        if epoch != self._epoch:
            self._shuffled = generator(self._seed, "order", epoch).permutation(self._entries).tolist()
            self._epoch = epoch
        return self._shuffled[place]


def micro_batches(entries: list[int], size: int, *, rank: int, ranks: int) -> Iterator[list[int]]:
    """This rank's micro-batches of a step's `entries`, which hold `size` x k x `ranks` of them."""
    for start in range(rank * size, len(entries), size * ranks):
        yield entries[start : start + size]


def steps_of(settings: TrainingSettings, entries: int, ranks: int) -> int:
    """Optimizer steps of a training over `entries` rows or packs."""
    if settings.max_steps > 0:
        return settings.max_steps
    in_one_step = settings.per_device_train_batch_size * settings.gradient_accumulation_steps * ranks
    return max(1, -(-round(settings.num_train_epochs * entries) // in_one_step))
