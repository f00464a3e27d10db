"""Words with boxes, as lines of characters."""

import re
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

_RUN = re.compile(r" {2,}")


class Box(NamedTuple):
    """Where a word stands on a page, in any unit; `top` is less than `bottom`."""

    left: float
    top: float
    right: float
    bottom: float


Word = tuple[str, Box]


def on_grid(words: Sequence[Word], *, most_blank_lines: int = 2) -> str:
    """The page as text: each word begins in the column of its left edge, but never touches the one before it.

    Words are on one line where the middle of one lies within the height of the line. A gap between lines
    gives a blank line for each height of a line in it. The order of `words` does not matter.

    Example:
        >>> on_grid([("sum", Box(0, 0, 3, 1)), ("42", Box(10, 0, 12, 1)), ("end", Box(0, 3, 3, 4))])
        'sum       42\\n\\n\\nend'
    """
    said = [(text, box) for text, box in words if text.strip()]
    if not said:
        return ""
    width = median((box.right - box.left) / len(text) for text, box in said) or 1.0
    edge = min(box.left for _, box in said)
    lines = _lines(said)
    height = median(box.bottom - box.top for _, box in said) or 1.0
    written: list[str] = []
    below = None
    for line in lines:
        top = min(box.top for _, box in line)
        if below is not None:
            written += [""] * min(most_blank_lines, max(0, int((top - below) / height)))
        below = max(box.bottom for _, box in line)
        written.append(_written(line, edge, width))
    return "\n".join(written)


def counted(page: str) -> str:
    """The page with every run of two or more spaces as their number: what reads them one by one is rare.

    Example:
        >>> counted("sum       42")
        'sum <7> 42'
    """
    return _RUN.sub(lambda run: f" <{len(run.group(0))}> ", page)


def _lines(words: Sequence[Word]) -> list[list[Word]]:
    """Words by line, lines from the top, words from the left."""
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda one: (one[1].top + one[1].bottom, one[1].left, one[0])):
        middle = (word[1].top + word[1].bottom) / 2
        first = lines[-1][0][1] if lines else None
        if first is not None and first.top <= middle <= first.bottom:
            lines[-1].append(word)
        else:
            lines.append([word])
    return [sorted(line, key=lambda one: (one[1].left, one[0])) for line in lines]


def _written(line: Sequence[Word], edge: float, width: float) -> str:
    text = ""
    for said, box in line:
        column = round((box.left - edge) / width)
        text += " " * max(column - len(text), 1 if text else 0) + said
    return text
