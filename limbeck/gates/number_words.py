"""The numbers that a text names, in digits or in English words, each in one spelling."""

import re
from collections.abc import Iterator
from decimal import Decimal

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = {word: number for number, word in enumerate(_ONES)} | {
    word: 10 * number for number, word in enumerate(_TENS, start=2)
}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_WORD = "|".join(sorted((*_SMALL, "hundred", *_LARGE), key=len, reverse=True))
_AFTER = "(?:" + "|".join(f"(?<={word})" for word in ("hundred", *_LARGE)) + ")"
_DIGITS = (
    r"(?<![\w.])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w,]*\d)"
    r"|(?<![\w.])-?\d+(?:\.\d+)?|(?<![\w.])-?\.\d+"
)
_NUMBER = re.compile(
    rf"(?P<digits>{_DIGITS})|\b(?P<words>(?:{_WORD})(?:(?:[\s-]+|{_AFTER}\s+and\s+)(?:{_WORD}))*)\b",
    re.IGNORECASE,
)


def numbers_in(text: str, *, words: bool = True) -> list[str]:
    """The numbers of a text, in order, without what comes twice.

    Args:
        text: any.
        words: read English number words too, but for a lone `one`, which is mostly a pronoun.

    Example:
        >>> numbers_in("1,200.50 and twenty-one, or 21; two hundred and five thousand")
        ['1200.5', '21', '205000']
    """
    found: dict[str, None] = {}
    for one in _NUMBER.finditer(text):
        if one["digits"]:
            found[_plain(Decimal(one["digits"].replace(",", "")))] = None
        elif words and one["words"].lower() != "one":
            for value in _values(re.findall(_WORD, one["words"].lower())):
                found[_plain(Decimal(value))] = None
    return list(found)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}" if number else "0"


def _values(words: list[str]) -> Iterator[int]:
    """`two hundred five thousand` -> 205000; words that make no number together are numbers each."""
    total, part, before = 0, 0, ""
    for word in words:
        if word in _SMALL and before in _SMALL and not (before in _TENS and 0 < _SMALL[word] < 10):
            yield total + part
            total, part = 0, 0
        if word in _SMALL:
            part += _SMALL[word]
        elif word == "hundred":
            part = max(part, 1) * 100
        else:
            total, part = total + max(part, 1) * _LARGE[word], 0
        before = word
    yield total + part
