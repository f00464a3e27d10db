"""How much two texts have in common, word by word in order: ROUGE-L on numbered words."""

from collections.abc import MutableMapping, Sequence
from typing import Literal

from limbeck.gates.optional import imported

Unit = Literal["words", "characters"]


_SURROGATES = 0xD800, 0x800  # no letters: the numbers from here on are moved up
_LETTERS = 0x10FFFF - 0x800  # beyond so many words, two of them share a letter


def numbered(text: str, numbers: MutableMapping[str, int], unit: Unit, gate: str) -> str:
    """A text with one letter for each of its words (as rouge-score cuts them: a-z and 0-9, no stemming).

    Args:
        text: any.
        numbers: of the words seen so far; grows.
        unit: `characters` for writing without blanks or Latin letters.
        gate: for the message where rouge-score is missing.
    """
    words: Sequence[str] = (
        [sign for sign in text.casefold() if not sign.isspace()]
        if unit == "characters"
        else imported("rouge_score.tokenize", gate).tokenize(text, None)
    )
    return "".join(_letter(numbers.setdefault(word, len(numbers))) for word in words)


def _letter(number: int) -> str:
    number %= _LETTERS
    return chr(number if number < _SURROGATES[0] else number + _SURROGATES[1])


def rouge_l(first: str, second: str) -> float:
    """F of ROUGE-L of numbered texts: twice the longest common subsequence over both lengths.

    Example:
        >>> rouge_l("abcd", "abxd")
        0.75
    """
    from rapidfuzz.distance import LCSseq

    size = len(first) + len(second)
    return 2 * LCSseq.similarity(first, second) / size if first and second else 0.0
