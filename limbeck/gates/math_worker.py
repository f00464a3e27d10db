"""Compares mathematical texts in a process of its own, which `math_comparing` ends when it takes too long.

Started as `python -m limbeck.gates.math_worker`: reads JSON lines [gold, text] and writes [equal, gold,
text], the latter two as they were understood; null for what holds no mathematics.
"""

import json
import logging
import resource
import sys
from typing import Any

_MEMORY = 4 << 30  # bytes of address space: what grows beyond raises, and is no equality


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    logging.disable(logging.ERROR)
    out, sys.stdout = sys.stdout, sys.stderr  # nothing that a library prints gets among the answers
    for line in sys.stdin:
        gold, text = json.loads(line)
        out.write(json.dumps(compared(gold, text)) + "\n")
        out.flush()


def compared(gold: str, text: str) -> tuple[bool, str | None, str | None]:
    """Whether a text says what is expected, and how both were understood."""
    from math_verify import verify

    try:
        expected, found = _read(gold), _read(text)
        # Both limits are off: they are alarms of the main thread, and do not stop what runs in C.
        equal = bool(expected and found and verify(expected, found, timeout_seconds=None))
        return equal, _said(expected), _said(found)
    except (MemoryError, RecursionError, ArithmeticError, ValueError, TypeError, NotImplementedError):
        return False, gold, text


def _read(text: str) -> list[Any]:
    from math_verify import parse

    found: list[Any] = parse(text, parsing_timeout=None)
    return found


def _said(found: list[Any]) -> str | None:
    return str(found[-1])[:200] if found else None


if __name__ == "__main__":
    main()
