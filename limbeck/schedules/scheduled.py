"""A curve with its options, in the form the engine takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Curve:
    """A stateless schedule: `function(step, total_steps, **options)`."""

    function: Callable[..., float]
    options: Mapping[str, float]

    def at(self, step: int, total_steps: int) -> float:
        """The value in optimizer step `step`, counted from 0."""
        return self.function(step, total_steps, **self.options)

    def observe(self, step: int, metrics: Mapping[str, float]) -> None:
        """A curve watches nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing to keep: the step says all."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to take back."""
