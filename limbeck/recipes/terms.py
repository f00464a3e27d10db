"""Terms of a loss and the schedules of their numbers, as frozen data."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_serializer, model_validator

from limbeck.core.catalogue import REQUIRED, catalogue
from limbeck.core.config import Config
from limbeck.core.errors import Problem
from limbeck.core.lookup import unknown
from limbeck.core.signals import BATCH_SIGNALS, PAIRED, SIGNALS

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train

Options = dict[str, Any]

IMPORTANCE = "importance"
"""A weight of units that rollouts give: student over the policy that wrote, token by token."""

UNCERTAINTIES = ("uncertainty", "certainty")
"""Weights of units that follow from the student's own class scores."""


class Layers(Config):
    """Matched layers, pairwise; counted from 0, negative numbers from the end."""

    student: tuple[int, ...]
    teacher: tuple[int, ...]

    @model_validator(mode="after")
    def _are_pairs(self) -> "Layers":
        if len(self.student) != len(self.teacher) or not self.student:
            raise ValueError(
                f"student and teacher must name equally many layers, at least one, "
                f"got {len(self.student)} and {len(self.teacher)}."
            )
        return self


class Trainable(Config):
    """A module that learns hyperparameters of a term: its fields here, and beside them its own options."""

    module: str
    learning_rate: float = Field(default=1e-3, gt=0)
    gradient_scale: float | Options = Field(default=1.0, description="negative: against the student")
    options: Options = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fold_options(cls, value: Any) -> Any:
        return folded(cls, value)

    @model_serializer
    def _unfold_options(self) -> dict[str, Any]:
        fixed = {"learning_rate": self.learning_rate, "gradient_scale": self.gradient_scale}
        return {"module": self.module, **fixed, **self.options}

    @model_validator(mode="after")
    def _is_known(self) -> "Trainable":
        modules = catalogue("objectives/trainable")
        if self.module not in modules:
            raise ValueError(unknown("module", self.module, modules))
        wrong = [
            unknown("option", key, modules[self.module].keywords)
            for key in self.options
            if key not in modules[self.module].keywords
        ]
        wrong += [f"gradient_scale: {problem}" for problem in schedule_problems(self.gradient_scale)]
        if wrong:
            raise ValueError(" ".join(wrong))
        return self


def folded(kind: type[Config], value: Any) -> Any:
    """Plain data with the keys that `kind` does not know moved into `options`."""
    if not isinstance(value, dict) or "options" in value:
        return value
    known = {key: item for key, item in value.items() if key in kind.model_fields}
    return known | {"options": {key: item for key, item in value.items() if key not in known}}


class Term(Config):
    """One summand of the loss: its fields here, and beside them the objective's own hyperparameters.

    Every number may be a schedule: `{schedule: linear, start: 0, stop: 1}`.
    """

    name: str
    weight: float | Options = 1.0
    on: str | None = Field(default=None, description="task of `task`, or source of `rollouts`; all if none")
    mean: Literal["token", "sequence"] = Field(
        default="token", description="sequence: each sequence counts alike, however long"
    )
    weighted_by: str | None = Field(default=None, description="weights of units: importance, uncertainty")
    trainable: Trainable | None = Field(default=None, description="hyperparameters that a module learns")
    layers: Layers | None = None
    options: Options = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fold_options(cls, value: Any) -> Any:
        return folded(cls, {"name": value} if isinstance(value, str) else value)

    @model_serializer
    def _unfold_options(self) -> dict[str, Any]:
        fixed = {"name": self.name, "weight": self.weight, "on": self.on, "weighted_by": self.weighted_by}
        if self.mean != "token":
            fixed["mean"] = self.mean
        for key in ("layers", "trainable"):
            value = getattr(self, key)
            fixed[key] = value.model_dump(mode="json") if value else None
        return {key: value for key, value in fixed.items() if value is not None} | self.options

    @model_validator(mode="after")
    def _is_bound(self) -> "Term":
        problems = self._problems()
        if problems:
            raise ValueError(" ".join(problems))
        return self

    @property
    def signals(self) -> tuple[str, ...]:
        """What the objective reads, from its signature."""
        return catalogue("objectives")[self.name].positional

    @property
    def of_teacher(self) -> tuple[str, ...]:
        """The signals among them that a teacher gives."""
        return tuple(name for name in self.signals if SIGNALS[name].side == "teacher")

    @property
    def inner(self) -> str:
        """The inner layers of a teacher that it reads, in words; empty if none."""
        return " and ".join(name for name in self.of_teacher if SIGNALS[name].reads_inside)

    @property
    def reads_foreign(self) -> bool:
        """Whether it reads a teacher that reads the rows in tokens of its own."""
        return any(SIGNALS[name].tokens == "own" for name in self.of_teacher)

    @property
    def of_batch(self) -> tuple[str, ...]:
        """The signals among them that come with sampled tokens."""
        return tuple(sorted(set(self.signals) & set(BATCH_SIGNALS)))

    @property
    def is_judged(self) -> bool:
        """Whether it needs sampled tokens to be judged."""
        return bool(self.of_batch) or self.weighted_by == IMPORTANCE

    def problems(self, step: "Train") -> Iterator[Problem]:
        """What does not go with it in a step."""
        if self.on is not None and self.on not in step.groups:
            allowed = (
                f"must be one of {', '.join(step.groups)}" if step.groups else "needs `task` or `rollouts`"
            )
            yield Problem("on", f"{allowed}, got on: {self.on} with task: {step.task}.")
        if self.of_batch and (step.rollouts is None or step.rollouts.advantages is None):
            yield Problem(
                "",
                f"{self.name} reads {' and '.join(self.of_batch)}: give the step rollouts with advantages.",
            )
        if set(self.signals) & PAIRED and step.task != "preference":
            yield Problem("", f"{self.name} compares two answers: give the step task: preference.")
        read = [SIGNALS[name] for name in self.signals]
        if step.packing and any(one.tokens == "own" and not one.in_packs for one in read):
            yield Problem("", f"{self.name} aligns the tokens of single rows: give the step packing: false.")
        if self.weighted_by == IMPORTANCE and step.rollouts is None:
            yield Problem("weighted_by", "importance compares with who wrote: give the step rollouts.")
        if self.weighted_by is not None and self.weighted_by not in (IMPORTANCE, *UNCERTAINTIES):
            allowed = ", ".join((IMPORTANCE, *UNCERTAINTIES))
            yield Problem("weighted_by", f"must be one of {allowed}, got '{self.weighted_by}'.")
        if step.rollouts is not None and self.on != "student" and self.is_judged:
            yield Problem("on", f"must be student: only the student's tokens are judged, got {self.on}.")

    def _problems(self) -> list[str]:
        entry = catalogue("objectives").get(self.name)
        if entry is None or not set(entry.positional) <= SIGNALS.keys():
            return [unknown("objective", self.name, catalogue("objectives"))]
        of_terms = type(self).model_fields.keys() - {"name", "options"}
        found = [
            f"{self.name}: {unknown('hyperparameter', key, (*entry.keywords, *of_terms))}"
            for key in self.options
            if key not in entry.keywords
        ]
        found += [
            f"{self.name}: hyperparameter '{key}' is required and has no default."
            for key, default in entry.keywords.items()
            if default == REQUIRED and key not in self.options and self.trainable is None
        ]
        for key, value in {"weight": self.weight, **self.options}.items():
            found += [f"{key}: {problem}" for problem in schedule_problems(value)]
        inner = any(SIGNALS[name].reads_layers for name in entry.positional)
        if inner != (self.layers is not None):
            found.append(
                f"{self.name} reads inner layers: say which, as in layers: {{student: [-1], teacher: [-1]}}."
                if inner
                else f"{self.name} reads no inner layers: leave out layers."
            )
        return found


def schedule_problems(value: Any) -> list[str]:
    """What is wrong with a value that may be a schedule; nothing for plain numbers and words."""
    if not isinstance(value, dict):
        return []
    schedules = catalogue("schedules")
    entry = schedules.get(str(value.get("schedule")))
    if entry is None:
        return [unknown("schedule", str(value.get("schedule")), schedules)]
    given = set(value) - {"schedule"}
    found = [
        unknown("option of the schedule", key, entry.keywords) for key in sorted(given - set(entry.keywords))
    ]
    missing = [key for key, default in entry.keywords.items() if default == REQUIRED and key not in given]
    return found + [f"schedule {entry.name} needs {key}." for key in missing]
