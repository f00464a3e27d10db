"""An operator tried on the first rows without asking anybody: what it would ask, and what is wrong."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limbeck.core.asking import Reply, Request
from limbeck.core.errors import LimbeckError, Problem, UserError
from limbeck.core.limited import MOST_SECONDS
from limbeck.core.lineage import ID, is_rejected
from limbeck.gates.judging import Judging, Needs
from limbeck.recipes.steps import Elicit
from limbeck.recipes.steps.elicit import ASK, JUDGE
from limbeck.runs.assembly.asking import finished

Row = Mapping[str, Any]

_MOST = 64  # requests of one row that are listened to: some programs ask until an answer suits them
_SECONDS = 3 * MOST_SECONDS  # for one row, so that a template that does not end is told as such
_SLOW = 1.0  # seconds after which no further rows are tried, once one is wrong
_TOLD = 3  # problems of rows; the others are likely the same
_STAND_IN = Reply(text="(an answer)")


class _Enough(Exception):
    """A row has asked often enough to be judged by."""


@dataclass
class Rehearsal:
    """What was asked of stand-ins.

    Attributes:
        rows: that were tried.
        requests: by the teacher's name; those of gates too, about rows that were made of stand-ins.
        problems: of rows that could not even ask, each once.
    """

    rows: int = 0
    requests: dict[str, list[Request]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def calls(self, name: str, rows: int) -> int:
        """Requests to a teacher by so many rows, if they ask as these did."""
        return round(len(self.requests.get(name, ())) / max(self.rows, 1) * rows)


def rehearse(step: Elicit, rows: Sequence[Row]) -> Rehearsal:
    """Call a step's operator with rows, and listen.

    What it does with the stand-in answers does not matter: only errors before its first request are of the
    rows or of its settings.

    Args:
        step: with the operator.
        rows: the first ones; a pool for operators of pools.
    """
    return finished(_rehearse(step, rows))


async def _rehearse(step: Elicit, rows: Sequence[Row]) -> Rehearsal:
    found, started = Rehearsal(requests={name: [] for name in step.asked}), time.monotonic()
    for given in [rows] if step.pools else rows:
        await _try(step, given, found)
        if len(found.problems) >= (1 if time.monotonic() - started > _SLOW else _TOLD):
            break
    found.rows = max(len(rows), 1)
    return found


async def _try(step: Elicit, given: Any, found: Rehearsal) -> None:
    heard = 0

    def listener(name: str) -> Any:
        async def ask(request: Request) -> Reply:
            nonlocal heard
            heard += 1
            if heard > _MOST:
                raise _Enough
            found.requests[name].append(request)
            return _STAND_IN

        return ask

    asks = {name: listener(name) for name in step.asked_by_operator}
    operator = step.operator.entry.load()
    try:
        async with asyncio.timeout(_SECONDS):
            rows = await operator(given, **asks, **step.settings_of_operator)
            judge = listener(JUDGE if JUDGE in step.asked else ASK)
            for gate in step.called:
                if ASK in gate.uses:
                    made = [row for row in rows if not is_rejected(row)]
                    await Judging([gate], Needs(ask=judge)).judged(made)
    except UserError as error:
        if not heard:
            known = step.operator.entry.keywords
            told = (one.below("operator") if one.where in known else one for one in error.problems)
            found.problems += [one for one in told if one not in found.problems]
    except Exception as error:  # of an operator that anybody may have written, on any row
        if not heard and not isinstance(error, LimbeckError | _Enough):
            found.problems.append(_fault(step, given, error))


def _fault(step: Elicit, given: Any, error: Exception) -> Problem:
    where = f"row {given.get(ID, '')}" if isinstance(given, Mapping) else "the rows"
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        said = f"no request within {_SECONDS:g} s"
    return Problem(
        "operator",
        f"must work with {where}, got {said}. Change the row, or the settings of {step.operator.name}.",
    )
