"""Names the user may say, and what he probably meant when he said another."""

import difflib
from collections.abc import Iterable

_LISTED = 24


def nearest(word: str, allowed: Iterable[str]) -> list[str]:
    """The words that may be meant: the one spelt alike, or those that have a part of the name in common."""
    words = sorted(set(allowed))
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return close
    parts = set(word.lower().split("_"))
    return [one for one in words if parts & set(one.lower().split("_"))]


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for a near miss, else the allowed words; starts with a space."""
    words = sorted(set(allowed))
    near = nearest(word, words)
    if len(near) == 1:
        return f" Did you mean '{near[0]}'?"
    if near:
        return f" Did you mean one of {', '.join(near)}?"
    shown = ", ".join(words[:_LISTED]) + (", ..." if len(words) > _LISTED else "")
    return f" Allowed: {shown or 'nothing'}."


def unknown(what: str, word: str, allowed: Iterable[str]) -> str:
    """The message for a word that is none of the allowed ones."""
    return f"unknown {what} '{word}'.{did_you_mean(word, allowed)}"
