"""The final answer that a worked text comes to."""

import re

_BOXED = "\\boxed{"
_MARKS = (
    re.compile(r"####\s*(.+)"),
    re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE),
    re.compile(r"(?:final answer|answer)\s*(?:is|:)\s*:?\s*(.+?)(?:\.\s|\.?$)", re.IGNORECASE | re.MULTILINE),
)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?")
_SHORT = 40  # characters of a text that is an answer by itself


def final_answer(text: str) -> str:
    """What stands in the last `\\boxed{}`, after `####`, in `<answer>` or after `answer is`; else the last
    number.

    A short text without any of these is an answer by itself.

    Example:
        >>> texts = "so \\\\boxed{\\\\frac{1}{2}}.", "3+4\\n#### 7", "The answer is (B).", "yes"
        >>> [final_answer(text) for text in texts]
        ['\\\\frac{1}{2}', '7', '(B)', 'yes']
    """
    boxed = _last_box(text)
    if boxed is not None:
        return boxed.strip()
    for mark in _MARKS:
        found = mark.findall(text)
        if found:
            return str(found[-1]).strip()
    if len(text.strip()) <= _SHORT:
        return text.strip()
    numbers = _NUMBER.findall(text)
    return numbers[-1].rstrip(",") if numbers else text.strip()


def _last_box(text: str) -> str | None:
    start = text.rfind(_BOXED)
    if start < 0:
        return None
    depth, begin = 1, start + len(_BOXED)
    for place in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return text[begin:place]
    return None
