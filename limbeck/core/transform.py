"""What happens to the micro-batches of a step between drawing and learning: a list of transforms."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from limbeck.core.batch import Batch
from limbeck.core.needs import Needs
from limbeck.core.outputs import Outputs

Ask = Callable[[Batch, Needs], Outputs]
"""Asks a teacher about a micro-batch."""


class Transform:
    """One thing that happens to a step's micro-batches; a subclass overrides what it has to do with.

    The engine lets the first transform that takes entries choose them, applies all in their order, without
    gradients and in the precision of the training, counts units on what the last one returns, and keeps
    their states in checkpoints. Draws are functions of seed, step and row, never of what ran before: a step
    that is done again comes out the same, however it is cut into micro-batches.

    Attributes:
        signals: names that it may add to `Batch.signals`.
        groups: the `Batch.group_names` that it may put targets into.
    """

    signals: ClassVar[frozenset[str]] = frozenset()
    groups: ClassVar[tuple[str, ...]] = ()

    def take(self, start: int, count: int) -> list[int] | None:
        """`count` entries of the source from position `start` of an endless stream; None: others choose."""
        return None

    def __call__(self, window: Sequence[Batch], step: int, total_steps: int) -> list[Batch]:
        """This rank's micro-batches of optimizer step `step`, counted from 0, as they are to be learnt."""
        return list(window)

    def asking(self, ask: Ask) -> Ask:
        """The teacher as it is to be asked about transformed batches."""
        return ask

    def observe(self, step: int, total_steps: int, metrics: Mapping[str, float]) -> None:
        """See the reduced metrics of a finished step, once."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of this rank: plain data that JSON carries."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""

    def finish(self, student: Any) -> tuple[str, ...]:
        """Called once, with the trained model, before it is saved; sentences on what was done."""
        return ()
