"""Inputs and outputs of a task, as Self-Instruct asks for them."""

import re
from typing import Any

from limbeck.core.prompting.parsers.failed import ParseFailed

_EXAMPLE = re.compile(r"Example\s?\d*\.?")
_OUTPUT = re.compile(r"Output\s*\d*\s*:")
_INPUT = re.compile(r"Input\s*\d*\s*:")


def input_first(text: str) -> dict[str, Any]:
    """Pairs of an input, which may be empty, and its output.

    Example:
        >>> input_first("Example 1\\nInput: 2+2\\nOutput: 4\\nExample 2\\nInput: 1+1\\nOutput: 2")
        {'instances': [('2+2', '4'), ('1+1', '2')]}

    Source:
        yizhongw/self-instruct, `self_instruct/prepare_for_finetuning.py:parse_instances_for_generation_task`
        before its filters.
    """
    text = text.strip()
    parts = (
        [part.strip() for part in _EXAMPLE.split(text) if part.strip()] if _EXAMPLE.search(text) else [text]
    )
    if parts == [text] and not _OUTPUT.search(text) and not _EXAMPLE.search(text):
        raise ParseFailed("no_instances", "neither 'Example' nor 'Output:' occurs")
    if not parts:
        raise ParseFailed("no_instances", "the examples say nothing")
    return {"instances": [_pair(part) for part in parts]}


def label_first(text: str) -> dict[str, Any]:
    """Pairs of an input and its class, which stands before it: the class cannot lean to one answer.

    Example:
        >>> label_first("Class label: good\\nNice film.\\nClass label: bad\\nDull film.")
        {'instances': [('Nice film.', 'good'), ('Dull film.', 'bad')]}

    Source:
        yizhongw/self-instruct, `parse_instances_for_classification_task` of the same file.
    """
    parts = [part.strip() for part in text.split("Class label:")[1:]]
    if not parts:
        raise ParseFailed("no_instances", "'Class label:' does not occur")
    split = [part.partition("\n") for part in parts]
    return {"instances": [(said.strip(), label.strip()) for label, _, said in split]}


def _pair(text: str) -> tuple[str, str]:
    pieces = _OUTPUT.split(text)
    said, answer = (pieces[0], pieces[1]) if len(pieces) > 1 else ("", text)
    answer = _INPUT.split(answer)[0].strip()
    return _INPUT.sub("", said.strip(), count=1).strip() if _INPUT.match(
        said.strip()
    ) else said.strip(), answer
