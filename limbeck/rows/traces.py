"""Several judged solutions of one question, as one pair: the first right one and the first wrong one."""

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset

from limbeck.core.errors import Problem, RowError
from limbeck.rows.problems import refuse_rows

COLUMNS = frozenset({"question", "solutions", "verdicts"})
"""Of rows with judged solutions: text, a list of texts, and for each whether it is right."""


def paired(rows: Dataset, ids: Sequence[str], where: str) -> tuple[Dataset, list[str]]:
    """Rows of preferences made from rows with `COLUMNS`, and their ids; other rows as they are.

    `chosen` is the first solution with a verdict that is true, `rejected` the first with one that is
    not; nothing (null) is no verdict. A question whose solutions are all right or all wrong has no pair
    and is left out.

    Raises:
        RowError: solutions and verdicts of a row do not fit together, or no question has a pair.

    Source:
        The pairs of Xu et al. 2025 (REDI), arXiv:2505.24850.
    """
    if not set(rows.column_names) >= COLUMNS:
        return rows, list(ids)
    problems, pairs = [], []
    for place, (row_id, row) in enumerate(zip(ids, rows, strict=True)):
        wrong = _wrong(row)
        if wrong:
            problems.append(Problem(f"{where}, row {row_id}", wrong))
            continue
        right, other = (_first(row, verdict) for verdict in (True, False))
        if right is not None and other is not None:
            pairs.append((place, right, other))
    refuse_rows(problems)
    if not pairs:
        raise RowError(
            f"{where}: at least one question must have a right and a wrong solution, got none of "
            f"{len(rows)}. Check the column `verdicts`, or load prompt and completion."
        )
    kept = rows.select([place for place, _, _ in pairs])
    kept = kept.remove_columns(
        [
            name
            for name in ("solutions", "verdicts", "chosen", "rejected", "prompt")
            if name in kept.column_names
        ]
    ).rename_column("question", "prompt")
    kept = kept.add_column("chosen", [right for _, right, _ in pairs])
    kept = kept.add_column("rejected", [other for _, _, other in pairs])
    return kept, [ids[place] for place, _, _ in pairs]


def _first(row: Mapping[str, Any], verdict: bool) -> str | None:
    judged = zip(row["solutions"], row["verdicts"], strict=True)
    return next((text for text, found in judged if found is not None and bool(found) is verdict), None)


def _wrong(row: Mapping[str, Any]) -> str | None:
    solutions, verdicts = row["solutions"], row["verdicts"]
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
