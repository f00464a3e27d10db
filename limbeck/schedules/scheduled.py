"""A schedule of a recipe, `{schedule: linear, start: 0, stop: 1}`, in the form the engine takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from limbeck.core.catalogue import catalogue
from limbeck.core.term import Schedule


def scheduled(value: Any) -> Any:
    """The schedule that plain data describes; a value that is no mapping stays what it is.

    A catalogued function of (step, total_steps) is a curve; one without positional arguments makes
    a feedback rule.
    """
    if not isinstance(value, dict):
        return value
    options = {key: item for key, item in value.items() if key != "schedule"}
    entry = catalogue("schedules")[value["schedule"]]
    if entry.positional:
        return Curve(entry.load(), options)
    rule: Schedule = entry.load()(**options)
    return rule


@dataclass(frozen=True)
class Curve:
    """A stateless schedule: `function(step, total_steps, **options)`."""

    function: Callable[..., float]
    options: Mapping[str, float]

    def at(self, step: int, total_steps: int) -> float:
        """The value in optimizer step `step`, counted from 0."""
        return self.function(step, total_steps, **self.options)

    def observe(self, step: int, total_steps: int, metrics: Mapping[str, float]) -> None:
        """A curve watches nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing to keep: the step says all."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to take back."""
