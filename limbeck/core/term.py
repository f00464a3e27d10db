"""A term: one objective with its weight, its hyperparameters and the units it learns from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from limbeck.core.signals import POINTWISE

if TYPE_CHECKING:
    from torch import nn


class Schedule(Protocol):
    """A value that changes while training."""

    def at(self, step: int, total_steps: int) -> float:
        """The value used in optimizer step `step`, counted from 0."""

    def observe(self, step: int, total_steps: int, metrics: Mapping[str, float]) -> None:
        """See the reduced metrics of a finished step, once per optimizer step; "own" is its term's."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep: plain data that JSON carries."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""


Value = float | int | bool | str | Schedule


@dataclass(frozen=True)
class Trainable:
    """Hyperparameters that are learnt: a module of the objective's own, trained beside the student.

    Attributes:
        module: its forward takes signals by name, each a constant, and returns hyperparameters by name.
        learning_rate: of its parameters.
        gradient_scale: factor on their gradients; negative trains them against the student.
    """

    module: "nn.Module"
    learning_rate: float
    gradient_scale: "float | Schedule" = 1.0


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
        mean: "token" weighs all tokens of a step alike; "sequence" takes the mean of each sequence
            first, then the mean of the sequences.
        trainable: gives the hyperparameters that are not in `hyperparameters`; None: all are there.
        weighted_by: multiplies each unit by this signal of the batch, a constant, before the mean.
        layers: matched layers, for objectives on states or attention.
        regularises: keeps the model in shape and teaches it nothing: its units are all tokens that are
            read, in the loss or not; it keeps its own weight where terms are balanced; a step that has
            nothing else has nothing to learn from.
    """

    name: str
    objective: Callable[..., Any]
    signals: tuple[str, ...]
    weight: float | Schedule = 1.0
    hyperparameters: Mapping[str, Value] = field(default_factory=dict)
    on: str | None = None
    layers: LayerMap | None = None
    mean: Literal["token", "sequence"] = "token"
    trainable: Trainable | None = None
    weighted_by: str | None = None
    regularises: bool = False

    @property
    def pointwise(self) -> bool:
        """Whether the objective has one value a position and can be computed in chunks of rows."""
        return set(self.signals) <= POINTWISE

    @property
    def schedules(self) -> dict[str, Schedule]:
        """Hyperparameters, weight and gradient scale, as far as they change while training."""
        values = {"weight": self.weight, **self.hyperparameters}
        if self.trainable is not None:
            values["gradient_scale"] = self.trainable.gradient_scale
        return {name: value for name, value in values.items() if hasattr(value, "at")}  # type: ignore[misc]

    def weight_at(self, step: int, total_steps: int) -> float:
        """The weight in one optimizer step."""
        return float(value_at(self.weight, step, total_steps))

    def hyperparameters_at(self, step: int, total_steps: int) -> dict[str, Any]:
        """The hyperparameters in one optimizer step."""
        return {name: value_at(value, step, total_steps) for name, value in self.hyperparameters.items()}


def value_at(value: Any, step: int, total_steps: int) -> Any:
    """The value of a number or a schedule in one optimizer step."""
    return value.at(step, total_steps) if hasattr(value, "at") else value
