"""Names the user may say, and what he probably meant when he said another."""

import difflib
from collections.abc import Iterable

_LISTED = 12


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for a near miss, else the allowed words; starts with a space."""
    words = sorted(allowed)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{close[0]}'?"
    shown = ", ".join(words[:_LISTED]) + (", ..." if len(words) > _LISTED else "")
    return f" Allowed: {shown or 'nothing'}."


def unknown(what: str, word: str, allowed: Iterable[str]) -> str:
    """The message for a word that is none of the allowed ones."""
    return f"unknown {what} '{word}'.{did_you_mean(word, allowed)}"
