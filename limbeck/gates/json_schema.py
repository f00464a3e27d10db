"""Answers that are JSON of a schema."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from limbeck.core.errors import ConfigError
from limbeck.gates.code_tests import fenced
from limbeck.gates.optional import imported
from limbeck.gates.reading import text_of
from limbeck.gates.verdict import Row, Verdict


def json_schema(
    rows: Iterable[Row], *, schema: dict[str, Any], column: str | None = None, fences: bool = True
) -> Iterator[Verdict]:
    """Let texts through that are JSON and fit a schema.

    Args:
        rows: to judge, each alone.
        schema: JSON schema (2020-12 unless it names another draft); references to other places are not
            followed.
        column: the text; none: the row's answer.
        fences: read the last fenced block of JSON, where there is one.

    Yields:
        reasons `unparsed` and `schema`; the detail says where in the value and what is wrong.

    Raises:
        ConfigError: the schema is none, or jsonschema is not installed.

    Example:
        >>> schema = {"type": "object", "required": ["name"]}
        >>> [one.reason for one in json_schema([{"text": '{"name": 1}'}, {"text": "{}"}], schema=schema)]
        ['accepted', 'schema']
    """
    validators = imported("jsonschema.validators", "json_schema")
    registry = imported("referencing", "json_schema").Registry()
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except imported("jsonschema", "json_schema").SchemaError as error:
        raise ConfigError(f"schema must be a JSON schema, got one that is wrong: {error.message}.") from None
    validator = kind(schema, registry=registry)
    for row in rows:
        text = text_of(row, column)
        yield _verdict(fenced(text, ("json", "")) if fences else text, validator)


def _verdict(text: str, validator: Any) -> Verdict:
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return Verdict(None, False, "unparsed", str(error))
    try:
        wrong = min(validator.iter_errors(value), key=lambda one: list(map(str, one.path)), default=None)
    except imported("referencing.exceptions", "json_schema").Unresolvable as error:
        raise ConfigError(f"schema must hold all that it refers to, got {error}.") from None
    if wrong is None:
        return Verdict(None, True)
    return Verdict(None, False, "schema", f"{'.'.join(map(str, wrong.path)) or 'value'}: {wrong.message}")


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
