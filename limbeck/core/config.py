"""The strict base of every configuration: frozen, unknown keys refused, all errors in one go."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import did_you_mean

# In place of pydantic's words, which speak of parsing.
_ALLOWED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
}


class Config(BaseModel):
    """Base of all configuration: immutable, and a key that no field knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, protected_namespaces=())


AnyConfig = TypeVar("AnyConfig", bound=Config)


def validate(kind: type[AnyConfig], values: Mapping[str, Any], where: str = "") -> AnyConfig:
    """Build a configuration from plain data.

    Raises:
        ConfigError: with one problem for each wrong key or value, each with its path.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(problems_of(error, kind, where)) from None


def problems_of(error: ValidationError, kind: type[Config], where: str = "") -> list[Problem]:
    """pydantic's errors in limbeck's words: path, what is allowed, what was got, did-you-mean."""
    return [_problem(dict(item), kind, where) for item in error.errors(include_url=False)]


def _problem(item: dict[str, Any], kind: type[Config], where: str) -> Problem:
    steps = [str(step) for step in item["loc"]]
    path = ".".join(([where] if where else []) + steps)
    if item["type"] == "extra_forbidden":
        return Problem(path, f"unknown key '{steps[-1]}'.{did_you_mean(steps[-1], kind.model_fields)}")
    if item["type"] == "missing":
        return Problem(path, "is required and has no default.")
    if item["type"] == "value_error":
        return Problem(path, str(item["ctx"]["error"]))
    allowed = _ALLOWED.get(item["type"]) or item["msg"].removeprefix("Input should be ")
    return Problem(path, f"must be {allowed}, got {item['input']!r}.")
