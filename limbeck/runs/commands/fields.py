"""Fields of a single step, as a command line gives them: by path."""

from collections.abc import Collection, Mapping
from typing import Any

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import did_you_mean


def nested_fields(inputs: Mapping[str, Any], allowed: Collection[str]) -> dict[str, Any]:
    """Values by path (`payload.topk.max`) as nested fields.

    Raises:
        ConfigError: a path that begins with none of `allowed`.
    """
    problems = [
        Problem(key, f"unknown key '{key}'.{did_you_mean(key, allowed)}")
        for key in inputs
        if key.split(".")[0] not in allowed
    ]
    if problems:
        raise ConfigError(problems)
    fields: dict[str, Any] = {}
    for key, value in inputs.items():
        *heads, last = key.split(".")
        place = fields
        for head in heads:
            place = place.setdefault(head, {})
        place[last] = value
    return fields
