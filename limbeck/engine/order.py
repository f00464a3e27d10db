"""Which entries a step learns from where nobody else chooses: a function of the seed and the step alone."""

from collections.abc import Iterator
from typing import Protocol

from limbeck.core.curriculum import Shape, competence_order
from limbeck.core.seeds import generator
from limbeck.core.training import TrainingSettings


class Order(Protocol):
    """A stream of entries, the same however it is cut."""

    def take(self, start: int, count: int) -> list[int]:
        """`count` entries from position `start` of the stream."""


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


class Given:
    """An endless stream of entries as they lie there, from the first to the last, again and again."""

    def __init__(self, entries: int) -> None:
        self._entries = entries

    def take(self, start: int, count: int) -> list[int]:
        """`count` entries from position `start` of the stream."""
        return [position % self._entries for position in range(start, start + count)]


class Competence:
    """A stream of so many entries in which the first ones come into reach first (`core.curriculum`).

    Every entry comes equally often, but for what does not divide evenly: which entries come once more, a
    seed draws.

    Args:
        entries: from the easiest to the hardest.
        total: that the whole training takes.
        start: share of the entries in reach at the beginning.
        shape: of the rise.
        seed: of the draws.
    """

    def __init__(self, entries: int, total: int, *, start: float, shape: Shape, seed: int) -> None:
        passes, left = divmod(total, entries)
        more = set(generator(seed, "competence", "once more").permutation(entries)[:left].tolist())
        copies = [passes + (entry in more) for entry in range(entries)]
        self._stream = list(competence_order(copies, start=start, shape=shape, seed=seed))

    def take(self, start: int, count: int) -> list[int]:
        """`count` entries from position `start` of the stream."""
        return self._stream[start : start + count]


def order_of(settings: TrainingSettings, entries: int, total: int) -> Order:
    """The order that a training of `total` entries in all takes its `entries` in."""
    if settings.order == "given":
        return Given(entries)
    if settings.order == "shuffled":
        return Shuffles(entries, settings.seed)
    start, shape = settings.competence_start, settings.competence_shape
    return Competence(entries, total, start=start, shape=shape, seed=settings.seed)


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
