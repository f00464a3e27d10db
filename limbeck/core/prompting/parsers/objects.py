"""Answers as JSON objects."""

import json
import re
from typing import Any

from limbeck.core.prompting.parsers.failed import ParseFailed

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


def json_object(text: str, *, fields: tuple[str, ...]) -> dict[str, Any]:
    """A JSON object, by itself, in a fenced block, or with words around it.

    Args:
        text: the teacher's.
        fields: that it must have.

    Returns:
        The whole object.

    Raises:
        ParseFailed: `no_json`, `bad_json` or `no_field`.

    Example:
        >>> json_object('Sure: {"answer": "4"}', fields=("answer",))
        {'answer': '4'}
    """
    fenced = _FENCED.search(text)
    inside = fenced.group(1) if fenced else text
    start = inside.find("{")
    if start < 0:
        raise ParseFailed("no_json", "there is no object")
    try:
        found, _ = json.JSONDecoder().raw_decode(inside[start:])
    except json.JSONDecodeError as error:
        raise ParseFailed("bad_json", f"the object is no JSON ({error})") from None
    missing = [name for name in fields if found.get(name) in (None, "")]
    if missing:
        raise ParseFailed("no_field", f"the object has no {', '.join(missing)}")
    return dict(found)
