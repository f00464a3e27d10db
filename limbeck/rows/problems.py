"""Row errors said in one go: every bad row by name, a long list cut with its true length."""

from collections.abc import Iterable, Sequence

from limbeck.core.errors import Problem, RowError
from limbeck.rows.kinds import Kind

_SHOWN = 10  # enough to see the pattern, short enough for one screen


def refuse_rows(problems: Sequence[Problem], advice: str = "") -> None:
    """Raise RowError with the first problems and the number of the others; nothing when there are none."""
    if not problems:
        return
    shown = list(problems[:_SHOWN])
    if len(problems) > _SHOWN:
        shown.append(Problem("", f"and {len(problems) - _SHOWN} more rows."))
    if advice:
        shown.append(Problem("", advice))
    raise RowError(shown)


def refuse_kind(kind: Kind, accepted: Iterable[Kind], purpose: str) -> None:
    """Raise RowError unless rows of this kind can serve the purpose."""
    names = list(accepted)
    if kind not in names:
        raise RowError(
            f"rows for {purpose} must have the columns {' or '.join(names)}, got {kind}. "
            "Use other rows, or rename columns when loading."
        )
