"""The gates of a step: some work beside the asking, others on the rows in their order."""

from collections.abc import Sequence

from limbeck.core.asking import Ask
from limbeck.gates.judging import MEMORY, Gate, Judged, Judging, Needs


class Gating:
    """A step's gates in the order of the recipe.

    From the first one on that remembers earlier rows, they see the rows in their final order: what they say
    then does not depend on which answer came first.
    """

    def __init__(self, gates: Sequence[Gate], ask: Ask) -> None:
        """Args: gates: of the recipe; ask: the teacher that judges."""
        first = next((place for place, one in enumerate(gates) if MEMORY in one.entry.positional), len(gates))
        self.beside = Judging(gates[:first], Needs(ask=ask)) if first else None
        self._behind = Judging(gates[first:], Needs(ask=ask)) if first < len(gates) else None

    async def in_order(self, rows: Sequence[tuple[dict, bool]]) -> list[tuple[dict, bool]]:
        """Rows, and whether they are accepted in the end; rejected ones are shown to no gate."""
        if self._behind is None or not rows:
            return list(rows)
        judged = iter(await self._behind.judged([row for row, ok in rows if ok]))
        return [_end(next(judged)) if ok else (row, False) for row, ok in rows]


def _end(one: Judged) -> tuple[dict, bool]:
    return one.row, one.accepted
