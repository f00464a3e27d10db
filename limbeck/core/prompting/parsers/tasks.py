"""Numbered tasks, and yes or no."""

import re
from typing import Any

from limbeck.core.prompting.parsers.failed import ParseFailed

_NUMBER = re.compile(r"\n\d+\s?\. ")
_FIRST = re.compile(r"\A\s*\d+\s?\. ")


def numbered(text: str) -> dict[str, Any]:
    """Items behind numbers at the beginnings of lines; the first one's number may stand in the prompt.

    Example:
        >>> numbered(" Name a colour.\\n10. Sum two\\nnumbers.")
        {'items': ['Name a colour.', 'Sum two numbers.']}

    Source:
        yizhongw/self-instruct, `self_instruct/bootstrap_instructions.py:post_process_gpt3_response`, which
        also writes all letters but the first small (`capitalize`): names and code lose theirs, so we do not.
    """
    items = [" ".join(part.split()) for part in _NUMBER.split(_FIRST.sub("", text))]
    found = [item[:1].upper() + item[1:] for item in items if item]
    if not found:
        raise ParseFailed("no_items", "there is no item")
    return {"items": found}


def yes_or_no(text: str) -> dict[str, Any]:
    """Whether the first word is yes.

    Example:
        >>> yes_or_no(" Yes.")
        {'yes': True}
    """
    first = re.match(r"\W*(yes|no)\b", text, flags=re.IGNORECASE)
    if first is None:
        raise ParseFailed("no_verdict", "the first word is neither yes nor no")
    return {"yes": first.group(1).lower() == "yes"}
