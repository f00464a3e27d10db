"""Completions side by side, short enough to be read: repetition folded and marked, long texts cut."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

_TITLE_LENGTH = 70
_LONGEST = 1500  # characters shown at once
_LONGEST_UNIT = 160  # characters that are looked for again behind themselves
_TIMES = 4
# What comes four times in a row, white space of indentation and rulers of one sign left out.
_LOOP = re.compile(rf"(\n)\1{{{_TIMES - 1},}}|(.{{2,{_LONGEST_UNIT}}}?)\2{{{_TIMES - 1},}}", re.DOTALL)


def samples(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the page shows of each sample.

    Returns:
        title; prompt, reference [a text each], texts {subject: text}; a text is {short (markup), whole (text,
        empty where nothing was folded or cut)}.
    """
    return [
        {
            "title": title_of(str(sample["prompt"])),
            "prompt": shown(str(sample["prompt"])),
            "reference": shown(str(sample["reference"])),
            "texts": {name: shown(str(text)) for name, text in sample["texts"].items()},
        }
        for sample in found
    ]


def folded(text: str) -> Markup:
    """The text with every loop written once and marked with how often it came."""
    parts, end = [], 0
    for match in _LOOP.finditer(text):
        unit = match[1] or match[2]
        times = len(match[0]) // len(unit)
        if unit != "\n" and len(set(unit)) == 1:
            continue
        said = f"{times - 1} empty lines" if unit == "\n" else f"{times} times in a row"
        shown = "\n" if unit == "\n" else unit
        parts.append(escape(text[end : match.start()] + shown))
        parts.append(Markup("<mark>{}</mark>{}").format(said, "\n" if unit.endswith("\n") else ""))
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def shown(text: str) -> dict[str, Any]:
    """A text as {short (markup), whole (text, empty where nothing was folded or cut)}."""
    short = folded(text[:_LONGEST])
    if len(text) > _LONGEST:
        short += Markup("<mark>{:,} characters more</mark>").format(len(text) - _LONGEST)
    return {"short": short, "whole": text if "<mark>" in short else ""}


def title_of(prompt: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(prompt.split())
    return line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1] + "…"
