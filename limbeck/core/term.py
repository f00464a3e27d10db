"""A term: one objective with its weight, its hyperparameters and the units it learns from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from limbeck.core.signals import POINTWISE


class Schedule(Protocol):
    """A value that changes while training."""

    def at(self, step: int, total_steps: int) -> float:
        """The value used in optimizer step `step`, counted from 0."""

    def observe(self, step: int, metrics: Mapping[str, float]) -> None:
        """See the reduced metrics of a finished step; once per optimizer step."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""


Value = float | int | bool | str | Schedule


@dataclass(frozen=True)
class LayerMap:
    """Which layers of the student answer to which layers of the teacher, pairwise."""

    student: tuple[int, ...]
    teacher: tuple[int, ...]


@dataclass(frozen=True)
class Term:
    """One summand of the loss: weight * mean over the units of `objective`.

    Attributes:
        name: shown in logs and metrics; unique within a criterion.
        objective: pure function of signals; unreduced.
        signals: names of its positional arguments, from the signal vocabulary.
        weight: factor in the total.
        hyperparameters: its keyword-only arguments.
        on: learns only from the units of this group of the batch; None: from all.
        layers: matched layers, for objectives on states or attention.
    """

    name: str
    objective: Callable[..., Any]
    signals: tuple[str, ...]
    weight: float | Schedule = 1.0
    hyperparameters: Mapping[str, Value] = field(default_factory=dict)
    on: str | None = None
    layers: LayerMap | None = None

    @property
    def pointwise(self) -> bool:
        """Whether the objective has one value a position and can be computed in chunks of rows."""
        return set(self.signals) <= POINTWISE

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The hyperparameters (and `weight`) that change while training."""
        values = {"weight": self.weight, **self.hyperparameters}
        return {name: value for name, value in values.items() if hasattr(value, "at")}  # type: ignore[misc]

    def weight_at(self, step: int, total_steps: int) -> float:
        """The weight in one optimizer step."""
        return float(_at(self.weight, step, total_steps))

    def hyperparameters_at(self, step: int, total_steps: int) -> dict[str, Any]:
        """The hyperparameters in one optimizer step."""
        return {name: _at(value, step, total_steps) for name, value in self.hyperparameters.items()}


def _at(value: Any, step: int, total_steps: int) -> Any:
    return value.at(step, total_steps) if hasattr(value, "at") else value
