"""The strict base of every configuration: frozen, unknown keys refused, all errors in one go."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

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
    "string_type": "text",
    "dict_type": "a mapping such as {key: value}",
}
_LISTS = ("tuple_type", "list_type")


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
        return Problem(
            path, f"unknown key '{steps[-1]}'.{did_you_mean(steps[-1], _fields_at(kind, item['loc'][:-1]))}"
        )
    if item["type"] == "missing":
        return Problem(path, "is required and has no default.")
    if item["type"] == "value_error":
        return Problem(path, str(item["ctx"]["error"]))
    if item["type"] in _LISTS:
        example = f", for example {steps[-1]}=[{item['input']}]" if _is_plain(item["input"]) else ""
        return Problem(path, f"must be a list{example}, got {item['input']!r}.")
    allowed = _ALLOWED.get(item["type"]) or item["msg"].removeprefix("Input should be ")
    return Problem(path, f"must be {allowed}, got {item['input']!r}.")


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _fields_at(kind: type[Config], place: Sequence[str | int]) -> list[str]:
    """Names of the fields that may stand at a place inside a configuration."""
    inside = list(models_in(kind))
    for step in place:
        fields = [model.model_fields[str(step)] for model in inside if step in model.model_fields]
        if fields:
            inside = [model for field in fields for model in models_in(field.annotation)]
    return [name for model in inside for name in model.model_fields]


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The configurations that a value of an annotated type may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for form in annotation.__subclasses__():  # a base stands for its forms
            yield from models_in(form)
    for part in get_args(annotation):
        yield from models_in(part)
