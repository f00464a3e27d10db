"""Libraries that only some gates need."""

from importlib import import_module
from typing import Any

from limbeck.core.errors import ConfigError


def imported(module: str, gate: str) -> Any:
    """A module of a library that comes with `limbeck[gates]`.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise ConfigError(
            f"gate {gate} must have the package {module.partition('.')[0].replace('_', '-')}, got none "
            "installed. Run: pip install 'limbeck[gates]'"
        ) from None
