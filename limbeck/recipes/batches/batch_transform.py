"""What every transform of a train step's batches says of itself."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from limbeck.core.config import Config
from limbeck.core.errors import Problem
from limbeck.recipes.teachers.capabilities import Ask

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


class BatchTransform(Config):
    """Settings of one thing that happens to the batches of a train step, as frozen data.

    Paths in what it says are those inside the step; `where` is its own.
    """

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that it puts targets into: words that terms can learn `on`; none leaves them as they are."""
        return ()

    def invalidates(self) -> Mapping[str, str]:
        """Fields of the step that mean nothing beside it, and why."""
        return {}

    def asks(self, step: "Train", where: str) -> Iterator[Ask]:
        """What it asks of the step's teacher, beside what terms read."""
        yield from ()

    def needs_teacher(self, step: "Train") -> bool:
        """Whether it needs a teacher though no term reads one."""
        return False

    def problems(self, step: "Train", where: str) -> Iterator[Problem]:
        """What does not go with it in a step."""
        for field, why in self.invalidates().items():
            if getattr(step, field) is not None:
                yield Problem(where, f"does not go with {field}: {why}. Leave one of them out.")
