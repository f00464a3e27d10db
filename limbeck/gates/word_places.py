"""Words of a text with their places, compared without case, Unicode form and punctuation."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Words:
    """A text cut into words.

    Attributes:
        text: as it was.
        words: in lower case and NFKC.
        places: start and end of each in the text, in characters.
    """

    text: str
    words: tuple[str, ...]
    places: tuple[tuple[int, int], ...]

    def runs(self, size: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """All runs of so many words, with the place of the first."""
        for start in range(len(self.words) - size + 1):
            yield start, self.words[start : start + size]

    def stretch(self, first: int, last: int) -> tuple[int, int]:
        """Where the words from `first` to `last` stand, both included, in characters."""
        return self.places[first][0], self.places[last][1]


def words_of(text: str) -> Words:
    """A text cut into runs of letters and digits.

    Example:
        >>> words_of("Hello, WORLD!").words
        ('hello', 'world')
    """
    found = list(_WORD.finditer(text))
    return Words(
        text,
        tuple(unicodedata.normalize("NFKC", one[0]).casefold() for one in found),
        tuple(one.span() for one in found),
    )


def merged(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches of characters, in order, those that touch or overlap as one.

    Example:
        >>> merged([(0, 4), (2, 6), (9, 11)])
        [(0, 6), (9, 11)]
    """
    found: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
