"""Entities with their types."""

import json
import re
from ast import literal_eval
from typing import Any

from limbeck.core.prompting.parsers.failed import ParseFailed


def entities(text: str) -> dict[str, Any]:
    """Pairs of an entity and its type, from a list of pairs as JSON or Python writes it.

    Two equal pairs are one. Objects with `entity` (or `text`, `name`) and `type` are pairs too.

    Raises:
        ParseFailed: `no_list`, `bad_list`, or `bad_entity` where an item is no pair of texts.

    Example:
        >>> entities('[("Ada Lovelace", "person"), ["Paris", "city"]]')
        {'entities': [('Ada Lovelace', 'person'), ('Paris', 'city')]}

    Source:
        Zhou et al. 2023 (UniversalNER), arXiv:2308.03279, whose prompt asks for a list of tuples; what its
        authors read it with is not released.
    """
    found = re.search(r"\[.*\]", text, flags=re.DOTALL)
    if found is None:
        raise ParseFailed("no_list", "there is no list")
    pairs = [_pair(item) for item in _items(found.group(0))]
    return {"entities": list(dict.fromkeys(pairs))}


def _items(text: str) -> list[Any]:
    try:
        items = json.loads(text)
    except json.JSONDecodeError:
        try:
            items = literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise ParseFailed("bad_list", "the list is neither JSON nor Python") from None
    if not isinstance(items, list):
        raise ParseFailed("bad_list", "the list is none")
    return items


def _pair(item: Any) -> tuple[str, str]:
    if isinstance(item, dict):
        item = (
            next((item[name] for name in ("entity", "text", "name") if name in item), None),
            item.get("type"),
        )
    is_pair = isinstance(item, list | tuple) and len(item) == 2 and all(isinstance(one, str) for one in item)
    if not is_pair or not all(one.strip() for one in item):
        raise ParseFailed("bad_entity", f"{item!r:.60} is no pair of an entity and its type")
    return item[0].strip(), " ".join(item[1].split())
