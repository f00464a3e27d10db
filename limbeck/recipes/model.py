"""Recipes: a list of steps as frozen data, carried by YAML, made by small Python functions."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import SerializeAsAny, field_validator

from limbeck.core.config import Config, validate
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import unknown
from limbeck.recipes.aliases import said_elsewhere
from limbeck.recipes.steps import STEPS, Capture, Step
from limbeck.recipes.teachers import Teacher
from limbeck.recipes.text import read_yaml, write_yaml

FORMAT = 1
SHOWN = frozenset(
    {"heldout", "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "max_length"}
    | {"gradient_accumulation_steps", "seed"}
)
"""Fields that a recipe file always names."""


class Recipe(Config):
    """A named list of steps; each reads the outs of earlier ones and writes its own."""

    name: str
    steps: tuple[SerializeAsAny[Step], ...]

    @field_validator("steps")
    @classmethod
    def _tell_stores_from_models(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """`teacher: signals`, where signals is the out of a capture step, means that store."""
        captured: dict[str, Teacher] = {}
        found: list[Step] = []
        for step in steps:
            found.append(step.told_apart(captured))
            if isinstance(step, Capture):
                captured[step.out] = step.teacher
        return tuple(found)

    def to_data(self) -> dict[str, Any]:
        """Plain data, as YAML shows it: what differs from a default, and what is changed most (`SHOWN`)."""
        return self._data(_worth_showing)

    def resolved(self) -> dict[str, Any]:
        """Plain data with every value, for the record: a later version may have other defaults."""
        return self._data(lambda step: step.model_dump(mode="json", exclude_none=True))

    def to_yaml(self) -> str:
        """The recipe as a file that `limbeck run` takes."""
        return write_yaml(self.to_data())

    def _data(self, values_of: Callable[[Step], dict[str, Any]]) -> dict[str, Any]:
        steps = [{step.kind: _own_fields_first(step, values_of(step))} for step in self.steps]
        return {"limbeck": FORMAT, "name": self.name, "steps": steps}

    @classmethod
    def from_yaml(cls, text: str) -> "Recipe":
        """Read a recipe; every error in one go.

        Raises:
            ConfigError: the text is no YAML, or some keys or values are wrong.
        """
        return cls.from_data(read_yaml(text))

    @classmethod
    def from_data(cls, data: Any) -> "Recipe":
        """Build a recipe from plain data (see `to_data`)."""
        if not isinstance(data, dict) or not isinstance(data.get("steps"), list):
            raise ConfigError("a recipe must be a mapping with `limbeck: 1`, `name` and a list of `steps`.")
        problems = [
            Problem(key, unknown("key", key, ("limbeck", "name", "steps")))
            for key in data
            if key not in ("limbeck", "name", "steps")
        ]
        if data.get("limbeck") != FORMAT:
            problems.append(Problem("limbeck", f"must be {FORMAT}, got {data.get('limbeck')!r}."))
        steps: list[Step] = []
        for place, item in enumerate(data["steps"]):
            try:
                steps.append(_step(item, f"steps.{place}"))
            except ConfigError as error:
                problems.extend(map(said_elsewhere, error.problems))
        if problems:
            raise ConfigError(problems)
        return cls(name=str(data.get("name", "run")), steps=tuple(steps))


def _worth_showing(step: Step) -> dict[str, Any]:
    values = step.model_dump(mode="json")
    changed = step.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in values.items() if name in changed or name in SHOWN}


def _own_fields_first(step: Step, values: dict[str, Any]) -> dict[str, Any]:
    own = [name for name in ("out", *type(step).__annotations__) if name in values]
    return {name: values[name] for name in own} | values


def _step(item: Any, where: str) -> Step:
    if not isinstance(item, dict) or len(item) != 1:
        raise ConfigError(Problem(where, f"must be one step such as `load: {{...}}`, got {item!r}."))
    ((kind, fields),) = item.items()
    if kind not in STEPS:
        raise ConfigError(Problem(f"{where}.{kind}", unknown("step", str(kind), STEPS)))
    if not isinstance(fields, dict):
        raise ConfigError(Problem(f"{where}.{kind}", f"must be a mapping of fields, got {fields!r}."))
    try:
        return validate(STEPS[kind], fields, f"{where}.{kind}")
    except ConfigError as error:
        raise ConfigError(_innermost(error.problems)) from None


def _innermost(problems: Sequence[Problem]) -> list[Problem]:
    """pydantic also reports the list whose item is wrong, as too short: the item is enough."""
    paths = {problem.where for problem in problems}
    return [
        problem for problem in problems if not any(path.startswith(f"{problem.where}.") for path in paths)
    ]
