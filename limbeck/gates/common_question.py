"""Questions that other rows answer, too: sources are compared on what all of them answered."""

from collections.abc import Iterable, Iterator, Sequence

from limbeck.core.lineage import ID, PARENTS
from limbeck.gates.reading import as_text, prompt_of, value_of
from limbeck.gates.verdict import Row, Verdict


def common_question(
    rows: Iterable[Row], against: Sequence[Row], *, each: str | None = None
) -> Iterator[Verdict]:
    """Let rows through whose question other rows have, too.

    Rows are of one question if they were made from one row, or one was made from the other; where rows say
    nothing of where they come from, if they ask the same.

    Args:
        rows: to judge, each alone.
        against: the other rows.
        each: column of the other rows, such as `mixed_from`: the question must be there with every value
            that the column has. None: once is enough.

    Yields:
        score: with how many values the question is there; reason `missing`. The detail lists the values
        without it.

    Raises:
        RowError: other rows without the column.

    Example:
        >>> others = [{"id": "1", "from": "a"}, {"id": "2", "from": "a"}, {"id": "2", "from": "b"}]
        >>> rows = [{"parents": ["1"]}, {"parents": ["2"]}]
        >>> [one.reason for one in common_question(rows, others, each="from")]
        ['missing', 'accepted']

    Source:
        Tian et al. 2025, arXiv:2505.14464: teachers are compared on the questions that all of them answer.
    """
    known: dict[str, set[str]] = {}
    for row in against:
        known.setdefault("" if each is None else as_text(value_of(row, each)), set()).update(_questions(row))
    for row in rows:
        asked = _questions(row)
        without = [value for value, questions in known.items() if not asked & questions]
        score = len(known) - len(without)
        if without or not known:
            yield Verdict(score, False, "missing", without if each else None)
        else:
            yield Verdict(score, True)


def _questions(row: Row) -> set[str]:
    """The rows it is made from, or itself; else what it asks."""
    parents = row.get(PARENTS)
    if parents:
        return set(parents)
    return {str(row[ID]) if row.get(ID) is not None else prompt_of(row)}
