"""Answers that must fit a JSON schema: how it is asked for, checked here, and asked for again."""

import ast
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from limbeck.core.asking import Ask, Failure, FailureClass, Reply, Request, RequestFailed
from limbeck.core.errors import ConfigError

Tier = Literal["json_schema", "json_object", "grammar", "prompt"]
"""How a schema is held, strongest promise first.

By the server's own `response_format` with the schema; by its promise of some JSON object; by a grammar
that the server's own fields ask for; by nothing but words. All are checked here, as servers ignore fields
silently.
"""

TIERS: tuple[Tier, ...] = get_args(Tier)

IN_WORDS = "Answer with JSON that fits this JSON schema, and with nothing else:\n{schema}"
AGAIN = (
    "This answer does not fit the JSON schema: {error}\n"
    "Answer again with the whole JSON that fits, and with nothing else."
)

_FENCE = re.compile(r"```[a-zA-Z0-9]*[ \t]*\n(.*?)```", re.DOTALL)
_TRAILING = re.compile(r"""("(?:[^"\\]|\\.)*")|,(\s*[}\]])""", re.DOTALL)
_NAMES = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


class Unfit(ValueError):
    """An answer that does not parse or does not fit its schema."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A value read from an answer, and by which parser: `json`, or `lenient` where it was not quite JSON."""

    value: Any
    parser: Literal["json", "lenient"]


def asked_by(request: Request, tier: Tier) -> tuple[Request, dict[str, Any]]:
    """A request for an answer that fits its schema, as a tier asks for it.

    Args:
        request: with a schema.
        tier: how it is held. `json_object` and `prompt` also say the schema in words, at the end of the last
            turn; a text that is continued is left as it is.

    Returns:
        The request as it is sent, and further fields of the call.
    """
    schema = request.schema
    assert schema is not None
    if tier == "json_schema":
        held = {"name": "answer", "strict": is_strict(schema), "schema": dict(schema)}
        return request, {"response_format": {"type": "json_schema", "json_schema": held}}
    if tier == "grammar":  # vLLM's field and llama.cpp's
        return request, {"structured_outputs": {"json": dict(schema)}, "json_schema": dict(schema)}
    fields = {"response_format": {"type": "json_object"}} if tier == "json_object" else {}
    return _in_words(request, schema), fields


def is_strict(schema: Any) -> bool:
    """Whether a schema may be sent as strict: objects require all their properties, and allow no others.

    Source:
        OpenAI's guide to structured outputs; a schema that does not is refused there with `strict: true`.
    """
    if isinstance(schema, list):
        return all(is_strict(part) for part in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(
            properties
        ):
            return False
    # An enum or a default may hold mappings that are values, not schemas.
    return all(is_strict(part) for key, part in schema.items() if key not in ("enum", "const", "default"))


def check_schema(schema: Mapping[str, Any], *, what: str = "schema") -> None:
    """Refuses what is no JSON schema.

    Raises:
        ConfigError: naming the place in the schema.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        place = "".join(f"[{part!r}]" for part in error.absolute_path)
        raise ConfigError(f"{what} must be a JSON schema, got {error.message} at {what}{place}.") from None


def read(text: str, schema: Mapping[str, Any], *, lenient: bool = True) -> Parsed:
    """The value of an answer, checked against its schema.

    Args:
        text: of the answer, without thoughts.
        schema: a JSON schema of any draft; references to other documents are not followed.
        lenient: also read what `lenient_json` reads.

    Raises:
        Unfit: it does not parse or does not fit; the text says where, in words for the one who wrote it.

    Example:
        >>> read('{"a": 1}', {"required": ["a"]})
        Parsed(value={'a': 1}, parser='json')
        >>> read("Here: {'a': 1,}", {"required": ["a"]}).parser
        'lenient'
    """
    try:
        return Parsed(_checked(strict_json(text), schema), "json")
    except ValueError as error:
        problem = error
    if lenient and not isinstance(problem, Unfit):
        for value in lenient_json(text):
            try:
                return Parsed(_checked(value, schema), "lenient")
            except Unfit as error:
                problem = error
    raise problem if isinstance(problem, Unfit) else Unfit(f"it is no JSON ({problem}).")


def strict_json(text: str) -> Any:
    """JSON as RFC 8259 has it: no NaN, and no key twice in an object."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        if twice:
            raise ValueError(f"key {twice[0]!r} stands twice in one object")
        return dict(pairs)

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def lenient_json(text: str) -> Iterator[Any]:
    """What an answer that is not quite JSON can mean, likeliest first.

    Reads a fenced block, JSON amid other text, commas before a closing bracket, and single quotes with
    Python's or JSON's constants.

    Example:
        >>> next(lenient_json("Sure!\\n```json\\n{'a': [1, 2,], 'b': null}\\n```"))
        {'a': [1, 2], 'b': None}
    """
    spans = [match[1] for match in _FENCE.finditer(text)] or [text]
    for span in spans:
        for candidate in (span.strip(), _bracketed(span)):
            if not candidate:
                continue
            without = _TRAILING.sub(lambda match: match[1] or match[2], candidate)
            for reader in (strict_json, _python_literal):
                try:
                    yield reader(without)
                    break
                except (ValueError, SyntaxError, RecursionError, MemoryError):
                    continue


class Fitting:
    """An `Ask` whose answers fit the schemas of their requests.

    What the teacher wrote is kept as it is under the request's key, so reading it again costs nothing. An
    answer that does not fit is asked for once more with the error, as a further turn and a request of its
    own.

    Attributes:
        read_by: how many answers each parser read: `json`, `lenient`.
        asked_again: how many answers did not fit.
    """

    def __init__(self, ask: Ask, *, again: int = 2) -> None:
        """
        Args:
            ask: a teacher that gives text.
            again: how often one question is asked again at most.
        """
        self._ask, self._again = ask, again
        self.read_by: Counter[str] = Counter()
        self.asked_again = 0

    async def __call__(self, request: Request) -> Reply:
        """The answer; with a schema, its `parsed` fits.

        Raises:
            RequestFailed: with `schema`, where no answer fits; with `length`, where it was cut before its
                end.
        """
        if request.schema is None:
            return await self._ask(request)
        asked = request
        for left in range(self._again, -1, -1):
            reply = await self._ask(asked)
            try:
                found = read(reply.text, request.schema)
            except Unfit as error:
                if reply.finish == "length":
                    raise RequestFailed(_cut(request, reply)) from None
                if not left or not request.messages:
                    raise RequestFailed(_unfit(error, reply, self._again - left + 1)) from None
                self.asked_again += 1
                asked = _again(request, reply, error)
            else:
                self.read_by[found.parser] += 1
                return replace(reply, parsed=found.value)
        raise AssertionError("unreachable")

    def said(self) -> Iterator[str]:
        """What was not as it was asked for, so far, in sentences."""
        lenient = self.read_by["lenient"]
        if lenient:
            yield f"{lenient:,} answers were JSON only as read leniently (fences, commas, quotes)."
        if self.asked_again:
            yield f"{self.asked_again:,} answers did not fit their schema and were asked for again."


def _again(request: Request, reply: Reply, error: Unfit) -> Request:
    turns = (
        {"role": "assistant", "content": reply.text},
        {"role": "user", "content": AGAIN.format(error=error)},
    )
    return replace(request, messages=(*request.messages, *turns))


def _unfit(error: Unfit, reply: Reply, attempts: int) -> Failure:
    return Failure(
        FailureClass.SEMANTIC, "schema", f"the answer does not fit: {error}", key=reply.key, attempts=attempts
    )


def _cut(request: Request, reply: Reply) -> Failure:
    message = (
        f"the answer was cut at max_tokens {request.max_tokens} before its JSON ended. Raise max_tokens."
    )
    return Failure(FailureClass.SEMANTIC, "length", message, key=reply.key)


def _in_words(request: Request, schema: Mapping[str, Any]) -> Request:
    if not request.messages:
        return request
    words = IN_WORDS.format(schema=json.dumps(schema, ensure_ascii=False))
    *before, last = request.messages
    if last.get("role") != "user":
        return replace(request, messages=(*request.messages, {"role": "user", "content": words}))
    content = last.get("content")
    if isinstance(content, str):
        content = f"{content}\n\n{words}"
    else:
        content = [*(content or ()), {"type": "text", "text": words}]
    return replace(request, messages=(*before, {**last, "content": content}))


def _checked(value: Any, schema: Mapping[str, Any]) -> Any:
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    registry: Any = Registry()  # of its own: the default one fetches references from the network
    try:
        error = best_match(validator_for(schema)(schema, registry=registry).iter_errors(value))
    except Unresolvable as unknown:
        raise ConfigError(
            f"schema must hold all it refers to, got {unknown.ref!r}. Copy that into the schema's $defs."
        ) from None
    if error is not None:
        place = "".join(f"[{part!r}]" for part in error.absolute_path)
        raise Unfit(f"{error.message}{f' at {place}' if place else ''}.")
    return value


def _bracketed(text: str) -> str:
    """From the first opening bracket to the last closing one."""
    starts = [place for place in (text.find("{"), text.find("[")) if place >= 0]
    end = max(text.rfind("}"), text.rfind("]"))
    return text[min(starts) : end + 1] if starts and end >= min(starts) else ""


def _python_literal(text: str) -> Any:
    with warnings.catch_warnings(action="ignore"):  # of escapes that Python does not know
        return _value(ast.parse(text.strip(), mode="eval").body)


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    if isinstance(node, ast.List):
        return [_value(part) for part in node.elts]
    if isinstance(node, ast.Dict):
        keys = [None if key is None else _value(key) for key in node.keys]
        if not all(isinstance(key, str) for key in keys):
            raise ValueError("keys of an object must be strings")
        return dict(zip(keys, (_value(part) for part in node.values), strict=True))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
        return node.value
    raise ValueError(f"{type(node).__name__} is no JSON")
