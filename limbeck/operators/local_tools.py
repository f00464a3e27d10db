"""Python functions that a teacher may call."""

import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from limbeck.core.asking import ToolCall
from limbeck.core.docstrings import argument_meanings
from limbeck.core.errors import ConfigError, Problem

Function = Callable[..., Any]


def load_function(word: str) -> Function:
    """A function by `module:name`.

    Raises:
        ConfigError: there is none.
    """
    module, _, name = word.partition(":")
    where = "functions"
    if not module or not name:
        raise ConfigError(Problem(where, f"must be module:function, got '{word}'."))
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        said = f"must be in a module that can be imported, got '{word}' ({error}). Run limbeck beside it."
        raise ConfigError(Problem(where, said)) from None
    if not callable(found) or inspect.iscoroutinefunction(found):
        raise ConfigError(Problem(where, f"must name a plain function of {module}, got '{name}'."))
    return found


def schema_of(function: Function) -> dict[str, Any]:
    """The function as chat templates and endpoints read it, from its type hints and docstring.

    Raises:
        ConfigError: its arguments cannot be given by name, or have types that JSON has not.

    Example:
        >>> def add(a: int, b: int = 1) -> int:
        ...     '''Add two numbers.'''
        ...     return a + b
        >>> schema_of(add)["function"]["parameters"]["required"]
        ['a']
    """
    name = function.__name__
    try:
        parameters = _adapter(function).json_schema()
    except PydanticUserError as error:
        said = f"{name} must have arguments that JSON can give, got {error.message.splitlines()[0]}."
        raise ConfigError(Problem("functions", said)) from None
    if parameters.get("type") != "object":
        said = f"{name} must take its arguments by name, got arguments by place alone."
        raise ConfigError(Problem("functions", said))
    doc = inspect.getdoc(function) or ""
    meanings = argument_meanings(doc)
    for argument, kind in parameters.get("properties", {}).items():
        kind.pop("title", None)
        if argument in meanings:
            kind["description"] = meanings[argument]
    about = doc.strip().split("\n")[0]
    return {"type": "function", "function": {"name": name, "description": about, "parameters": parameters}}


def called(call: ToolCall, functions: Mapping[str, Function]) -> tuple[str, bool]:
    """What a call gives, as text, and whether it worked.

    A call that cannot be made, or fails, is answered by JSON with `error`: the teacher reads it and goes on.
    """
    if call.name not in functions:
        return _error(f"there is no function {call.name}; there are {', '.join(functions)}"), False
    try:
        arguments = json.loads(call.arguments or "{}")
    except json.JSONDecodeError as error:
        return _error(f"the arguments are no JSON: {error}"), False
    if not isinstance(arguments, dict):
        return _error("the arguments must be an object"), False
    function = functions[call.name]
    try:
        found = _adapter(function).validate_json(json.dumps(arguments))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        return _error(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"), False
    except Exception as error:  # whatever the user's function raises
        return _error(f"{type(error).__name__}: {error}"), False
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str), True


def _adapter(function: Any) -> TypeAdapter[Any]:
    """Checks arguments against the type hints of a function, and calls it with them."""
    return TypeAdapter(function)


def _error(message: str) -> str:
    return json.dumps({"error": message}, ensure_ascii=False)
