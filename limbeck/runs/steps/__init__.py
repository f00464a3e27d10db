"""One module a kind of step: each turns its configuration into the artefacts of its folder."""

from importlib import import_module
from typing import Any

from limbeck.recipes.steps import Step


def module_of(step: Step) -> Any:
    """The module that does the work of a step: the one with the name of its kind."""
    return import_module(f"{__name__}.{step.kind}")
