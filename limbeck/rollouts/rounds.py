"""Rounds of rollouts: prompts in an order of their own, rows in a new order in every pass."""

from limbeck.core.batch import Source
from limbeck.core.rollouts import Round
from limbeck.core.seeds import generator
from limbeck.rollouts.rollout import Rollout, uncollate

_READ = 32  # prompts of one batch


class Rounds:
    """Which prompts a round takes, and which of its rows a step learns from.

    A round holds `settings.prompts` rows over all ranks, rounded up to whole steps, and is learnt
    from `settings.epochs` times before the next one is written.

    Args:
        settings: size and passes.
        source: padded rows.
        seed: of both orders.
        rank: (number, count) of this process.
    """

    def __init__(self, settings: Round, source: Source, seed: int, rank: tuple[int, int]) -> None:
        self._settings, self._source, self._seed, self._rank = settings, source, seed, rank
        self._held: list[Rollout] = []
        self.held_from: int | None = None

    def start(self, step: int, count: int) -> int:
        """The first step of the round that `step` belongs to; a step has `count` rows on this rank."""
        return step - step % (self._steps_in_pass(count) * self._settings.epochs)

    def prompts(self, step: int, count: int) -> list[Rollout]:
        """The rows that this rank writes for in the round of `step`."""
        number, ranks = self._rank
        size = self._steps_in_pass(count) * count
        round_ = self.start(step, count) // (self._steps_in_pass(count) * self._settings.epochs)
        first = (round_ * ranks + number) * size
        entries = [self._entry(place) for place in range(first, first + size)]
        parts = [entries[k : k + _READ] for k in range(0, len(entries), _READ)]
        return [row for part in parts for row in uncollate(self._source.batch(part))]

    def hold(self, start: int, written: list[Rollout]) -> None:
        """Keep a round's rows until the next."""
        self._held, self.held_from = written, start

    def rows(self, step: int, count: int) -> list[Rollout]:
        """The rows of one step."""
        assert self.held_from is not None
        pass_, place = divmod(step - self.held_from, self._steps_in_pass(count))
        order = generator(self._seed, "round", self.held_from, pass_).permutation(len(self._held))
        return [self._held[k] for k in order[place * count : (place + 1) * count]]

    def _steps_in_pass(self, count: int) -> int:
        return -(-self._settings.prompts // (count * self._rank[1]))

    def _entry(self, place: int) -> int:
        epoch, inside = divmod(place, len(self._source))
        return int(generator(self._seed, "prompts", epoch).permutation(len(self._source))[inside])
