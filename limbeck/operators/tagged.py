"""Entities of rows that people tagged word by word."""

from limbeck.core.errors import RowError
from limbeck.core.lineage import ID, Row

_BEGINS, _GOES_ON = "BSU", "IEL"


def tagged_entities(row: Row) -> list[tuple[str, str]]:
    """Entities of a row and their types in words, from tags in the form BIO, or with S or U, and E or L.

    Words are joined by blanks, as in the text of the row. A tag that goes on with nothing begins an entity,
    as conlleval reads it.

    Raises:
        RowError: the row has no tags, or other ones.

    Example:
        >>> tags = ["B-person", "I-person", "O", "B-programming_language"]
        >>> tagged_entities({"tokens": ["Ada", "Lovelace", "wrote", "C"], "tags": tags})
        [('Ada Lovelace', 'person'), ('C', 'programming language')]
    """
    if not row.get("tags"):
        raise RowError(f"row {row.get(ID, '')}: must have tokens and tags for labels: own, got no tags.")
    spans: list[tuple[list[str], str]] = []
    before = ""
    for token, tag in zip(row["tokens"], row["tags"], strict=True):
        place, _, name = tag.partition("-")
        if tag != "O" and not (name and len(place) == 1 and place in _BEGINS + _GOES_ON):
            raise RowError(
                f"row {row.get(ID, '')}: tags must be O, or B- or I- and a type, got {tag!r}. "
                "Write names in the place of numbers."
            )
        if place in _GOES_ON and name == before:
            spans[-1][0].append(token)
        elif name:
            spans.append(([token], name))
        before = name
    return [(" ".join(tokens), in_words(name)) for tokens, name in spans]


def in_words(name: str) -> str:
    """A type as one asks for it.

    Example:
        >>> in_words("creative-work")
        'creative work'
    """
    return " ".join(name.replace("-", " ").replace("_", " ").split()).lower()
