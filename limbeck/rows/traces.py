"""Several judged solutions of one question, as one pair: the first right one and the first wrong one."""

from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.core.errors import RowError
from limbeck.rows.columns import Part, texts_column

COLUMNS = ("question", "solutions", "verdicts")
"""Of rows with judged solutions: text, a list of texts, and for each whether it is right."""


def paired(part: Part, where: str) -> tuple[Part, Mapping[int, str]]:
    """Rows of preferences made from rows with `COLUMNS`, and what is wrong with some; other rows as they are.

    `chosen` is the first solution with a verdict that is true, `rejected` the first with one that is
    not; nothing (null) is no verdict. A question whose solutions are all right or all wrong has no pair
    and is left out.

    Raises:
        RowError: no question has a pair.

    Source:
        The pairs of Xu et al. 2025 (REDI), arXiv:2505.24850.
    """
    if not set(part.columns) >= set(COLUMNS):
        return part, {}
    bad: dict[int, str] = {}
    pairs: list[tuple[int, str, str]] = []
    rows = zip(*(part.columns[name].objects() for name in COLUMNS[1:]), strict=True)
    for place, (solutions, verdicts) in enumerate(rows):
        wrong = _wrong(solutions, verdicts)
        if wrong:
            bad[len(pairs)] = wrong
            pairs.append((place, "-", "-"))  # named with its fault, and never read
            continue
        right, other = (_first(solutions, verdicts, verdict) for verdict in (True, False))
        if right is not None and other is not None:
            pairs.append((place, right, other))
    if not pairs:
        raise RowError(
            f"{where}: at least one question must have a right and a wrong solution, got none of "
            f"{len(part)}. Check the column `verdicts`, or load prompt and completion."
        )
    kept = part.take([place for place, _, _ in pairs]).without([*COLUMNS[1:], "prompt"])
    columns = {"prompt" if name == "question" else name: column for name, column in kept.columns.items()}
    made = {
        "chosen": texts_column([right for _, right, _ in pairs]),
        "rejected": texts_column([other for _, _, other in pairs]),
    }
    return Part({**columns, **made}, kept.origins, kept.classes, kept.broken), bad


def _first(solutions: Sequence[str], verdicts: Sequence[Any], verdict: bool) -> str | None:
    judged = zip(solutions, verdicts, strict=True)
    return next((text for text, found in judged if found is not None and bool(found) is verdict), None)


def _wrong(solutions: Any, verdicts: Any) -> str | None:
    if not isinstance(solutions, list) or not all(isinstance(text, str) and text for text in solutions):
        return f"solutions must be a list of texts that are not empty, got {solutions!r:.60}."
    if not isinstance(verdicts, list) or not all(verdict in (True, False, None) for verdict in verdicts):
        return f"verdicts must be a list of true and false, got {verdicts!r:.60}."
    if len(solutions) != len(verdicts):
        return (
            f"solutions and verdicts must be of one length, got {len(solutions)} and {len(verdicts)}. "
            "Use null where a solution was not judged."
        )
    return None
