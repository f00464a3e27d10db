"""Texts that were there before, up to case, blanks and punctuation at will."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

from limbeck.core.lineage import ID
from limbeck.gates.reading import all_text
from limbeck.gates.verdict import Row, Verdict

_OTHER = re.compile(r"[\W_]+")


def exact_duplicate(
    rows: Iterable[Row],
    memory: MutableMapping[Any, Any],
    *,
    columns: list[str] | None = None,
    normalise: bool = True,
) -> Iterator[Verdict]:
    """Refuse a row whose text an earlier row had; the first one passes.

    Args:
        rows: to judge, in order.
        memory: what was seen so far: 16 bytes and the row's id a text; empty at first.
        columns: whose texts are compared together; none: prompt and answer.
        normalise: compare without case, punctuation, and differences of blanks and of Unicode form (NFKC).

    Yields:
        reason `duplicate`; the detail names the earlier row.

    Example:
        >>> rows = [{"id": "a", "text": "Hello, world!"}, {"id": "b", "text": "hello world"}]
        >>> [(one.passed, one.detail) for one in exact_duplicate(rows, {})]
        [(True, ''), (False, 'as row a')]
    """
    for row in rows:
        text = all_text(row, columns or ())
        key = hashlib.blake2b(
            (normalised(text) if normalise else text).encode(errors="surrogatepass"), digest_size=16
        ).digest()
        if key in memory:
            yield Verdict(None, False, "duplicate", f"as row {memory[key]}")
        else:
            memory[key] = str(row.get(ID, len(memory)))
            yield Verdict(None, True)


def normalised(text: str) -> str:
    """A text in lower case, with one blank for each run of other signs than letters and digits."""
    return _OTHER.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
