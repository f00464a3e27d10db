"""What a docstring says of each argument, and what it says of the whole."""

import re

_ITEM = re.compile(r"    (\w+): (.*)")


def argument_meanings(doc: str) -> dict[str, str]:
    """Name of each argument under `Args:` -> its words, in one line without the last stop."""
    found: dict[str, str] = {}
    name = ""
    for line in _section(doc.splitlines()):
        item = _ITEM.fullmatch(line)
        if item is not None:
            name = item[1]
            found[name] = item[2]
        elif line.strip() and name:
            found[name] += f" {line.strip()}"
    return {name: words.removesuffix(".") for name, words in found.items()}


def without_arguments(doc: str) -> str:
    """The docstring without its section `Args:`."""
    lines = doc.splitlines()
    section = _section(lines)
    if not section:
        return doc
    start = lines.index("Args:")
    return "\n".join([*lines[:start], *lines[start + 1 + len(section) :]]).strip()


def _section(lines: list[str]) -> list[str]:
    """The lines under `Args:`, up to the next one that is not indented."""
    if "Args:" not in lines:
        return []
    inside = lines[lines.index("Args:") + 1 :]
    end = next((place for place, line in enumerate(inside) if line and line[0] != " "), len(inside))
    return inside[:end]
