"""A buffer of the student's earlier completions."""

from collections.abc import Mapping
from typing import Any

from limbeck.core.seeds import generator
from limbeck.rollouts.rollout import Rollout


class ReplayBuffer:
    """Holds the last `capacity` completions; what is taken from it stays in it.

    Source:
        Ko et al. 2024, arXiv:2402.03898; jongwooko/distillm, `distillm/buffer.py:ReplayBuffer`
        (capacity 1000, uniform draws).
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self._capacity, self._seed = capacity, seed
        self._held: list[Rollout] = []

    @property
    def is_full(self) -> bool:
        """Whether a new completion would push out an old one."""
        return len(self._held) >= self._capacity

    def __len__(self) -> int:
        return len(self._held)

    def add(self, written: list[Rollout]) -> None:
        """Take in completions; the oldest make place."""
        self._held = [*self._held, *written][-self._capacity :]

    def take(self, count: int, *, step: int) -> list[Rollout]:
        """`count` completions at random, each once while there are enough."""
        draw = generator(self._seed, "replay", step)
        places = draw.choice(len(self._held), size=count, replace=count > len(self._held))
        return [self._held[place] for place in places]

    def state_dict(self) -> dict[str, Any]:
        """All that is held, as plain data."""
        return {"held": [[one.row_id, one.ids, one.is_target, one.source] for one in self._held]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._held = [
            Rollout(row_id, tuple(ids), tuple(is_target), source)
            for row_id, ids, is_target, source in state["held"]
        ]
