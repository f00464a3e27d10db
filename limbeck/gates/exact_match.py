"""Is the answer the expected one, word for word?"""

from collections.abc import Iterable, Iterator

from limbeck.gates.reading import as_text, text_of, value_of
from limbeck.gates.verdict import Row, Verdict

_ENDS = ".!"


def exact_match(
    rows: Iterable[Row], *, gold: str = "reference", column: str | None = None, letters: bool = False
) -> Iterator[Verdict]:
    """Let answers through that are the expected one: for labels, options and names.

    Case, blanks and a full stop at the end make no difference; with `letters` they do.

    Args:
        rows: to judge, each alone.
        gold: the column with the expected answer; a list of them: one must fit.
        column: the text; none: the row's answer.
        letters: compare letter by letter, but for white space around.

    Yields:
        score: 1 or 0; reasons `different` and `empty`.

    Raises:
        RowError: a row without the column.

    Example:
        >>> rows = [{"answer": text, "reference": "yes"} for text in ("Yes.", "yes", "yes and no")]
        >>> [one.passed for one in exact_match(rows)]
        [True, True, False]

    Source:
        No paper. `letters: true` is the rule of the task `exact_match` of evaluations.
    """
    for row in rows:
        text, expected = text_of(row, column), value_of(row, gold)
        golds = [as_text(one) for one in (expected if isinstance(expected, list) else [expected])]
        if not text.strip():
            yield Verdict(0.0, False, "empty")
        elif _plain(text, letters) in {_plain(one, letters) for one in golds}:
            yield Verdict(1.0, True)
        else:
            yield Verdict(0.0, False, "different", f"expected {golds[0][:80]}")


def _plain(text: str, letters: bool) -> str:
    return text.strip() if letters else " ".join(text.casefold().split()).rstrip(_ENDS)
