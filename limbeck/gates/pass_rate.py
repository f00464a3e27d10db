"""Questions that are neither too easy nor too hard: how many of their answers are right."""

from collections.abc import Iterable, Iterator, Sequence

from limbeck.core.checks import check_fraction
from limbeck.core.errors import ConfigError
from limbeck.gates.reading import said, value_of
from limbeck.gates.verdict import Row, Verdict, verdicts_of


def pass_rate(
    groups: Iterable[Sequence[Row]],
    *,
    minimum: float = 0.0,
    maximum: float = 1.0,
    gate: str | None = None,
    column: str | None = None,
) -> Iterator[Verdict]:
    """Let rows through of whose question a bounded share of all answers is right.

    A gate of groups sees refused rows too, so a verifier before it in the same list says which are right.

    Args:
        groups: all answers to one question together, with their verdicts.
        minimum: share that passes, included.
        maximum: share that passes, included; below 1 it leaves out what is solved every time.
        gate: an earlier gate whose verdict says what is right; none: all of them must have let it through.
        column: a column of truth values that says it instead.

    Yields:
        score: the share in [0, 1]; reasons `easy` and `hard`.

    Raises:
        ConfigError: nothing says which answers are right.

    Example:
        >>> group = [{"right": True}, {"right": True}, {"right": False}]
        >>> [one.reason for one in pass_rate([group, group[:2]], maximum=0.9, column="right")]
        ['accepted', 'accepted', 'accepted', 'easy', 'easy']

    Source:
        Wu et al. 2025, arXiv:2508.09883 (questions that the student solves too often are left out).
    """
    check_fraction(minimum=minimum, maximum=maximum)
    for group in groups:
        share = sum(_is_right(row, gate, column) for row in group) / len(group)
        reason = "easy" if share > maximum else "hard" if share < minimum else None
        for _ in group:
            yield Verdict(share, True) if reason is None else Verdict(share, False, reason)


def _is_right(row: Row, gate: str | None, column: str | None) -> bool:
    if column is not None:
        return bool(value_of(row, column))
    verdicts = [one for one in verdicts_of(row) if gate in (None, one["gate"])]
    if not verdicts:
        raise ConfigError(
            f"{said(row)}: pass_rate must have an earlier gate{f' {gate}' if gate else ''} that says which "
            "answers are right, got none. Put a verifier before it, or name a column."
        )
    return all(one["passed"] for one in verdicts)
