"""What every transform of a train step's batches says of itself."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from limbeck.core.config import Config
from limbeck.core.errors import Problem

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


class BatchTransform(Config):
    """Settings of one thing that happens to the batches of a train step, as frozen data."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that it puts targets into: words that terms can learn `on`; none leaves them as they are."""
        return ()

    def invalidates(self) -> Mapping[str, str]:
        """Fields of the step that mean nothing beside it, and why; `teacher.signals` stands for stores."""
        return {}

    def problems(self, step: "Train") -> Iterator[Problem]:
        """What does not go with it in a step."""
        for field, why in self.invalidates().items():
            if field == "teacher.signals":
                is_set = step.teacher is not None and bool(step.teacher.stores)
            else:
                is_set = getattr(step, field) not in (None, False, ())
            if is_set:
                yield Problem("", f"does not go with {field}: {why}. Leave one of them out.")
