"""Texts with one letter for each word, which compare much faster than lists of words."""

from collections.abc import MutableMapping
from typing import Literal

from limbeck.core.overlap import words_of

Unit = Literal["words", "characters"]

_SURROGATES = 0xD800, 0x800  # no letters: the numbers from here on are moved up
_LETTERS = 0x10FFFF - 0x800  # beyond so many words, two of them share a letter


def numbered(text: str, numbers: MutableMapping[str, int], unit: Unit) -> str:
    """A text with one letter for each of its words, as ROUGE counts them.

    Args:
        text: any.
        numbers: of the words seen so far; grows.
        unit: `characters` for writing without blanks or Latin letters.
    """
    is_by_sign = unit == "characters"
    words = [sign for sign in text.casefold() if not sign.isspace()] if is_by_sign else words_of(text)
    return "".join(_letter(numbers.setdefault(word, len(numbers))) for word in words)


def _letter(number: int) -> str:
    number %= _LETTERS
    return chr(number if number < _SURROGATES[0] else number + _SURROGATES[1])
