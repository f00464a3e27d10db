"""What of a step changes its results: not how fast it works, what it may spend, or what is told and kept."""

from collections.abc import Mapping
from typing import Any

from limbeck.core.training import WITHOUT_EFFECT
from limbeck.recipes.steps import STEPS
from limbeck.recipes.teachers import Teacher


def with_effect(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A step's plain data without what changes no result: a finished step stays finished.

    Args:
        kind: of step, as a recipe names it.
        fields: of the step.
    """
    idle = WITHOUT_EFFECT | (STEPS[kind].without_effect if kind in STEPS else frozenset())
    return {name: _within(value) for name, value in fields.items() if name not in idle}


def _within(value: Any) -> Any:
    """The same of the teachers inside."""
    if isinstance(value, Mapping):
        idle = {name for form, one in Teacher.forms.items() if form in value for name in one.without_effect}
        return {name: _within(inner) for name, inner in value.items() if name not in idle}
    return [_within(inner) for inner in value] if isinstance(value, list) else value
