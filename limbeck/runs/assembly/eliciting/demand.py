"""How many draws are begun: no more than are likely to be needed, where a number of rows is asked for."""

import asyncio
import math
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from limbeck.recipes.steps import Elicit
from limbeck.runs.assembly.eliciting.draws import Job
from limbeck.runs.assembly.eliciting.outcome import Outcome


class Demand:
    """Lets jobs begin; what they make does not depend on when that is."""

    def __init__(self, step: Elicit, outcome: Outcome) -> None:
        """Args: step: says how many rows; outcome: how many there are."""
        self._step, self._outcome = step, outcome
        self._begun = self._taken = 0
        self._more = asyncio.Event()

    def jobs(self, jobs: Iterator[Job]) -> Iterable[Job] | AsyncIterable[Job]:
        """The jobs, as they are needed."""
        return jobs if self._step.accept is None else self._as_needed(jobs)

    def took(self) -> None:
        """The result of one more job was taken."""
        self._taken += 1
        self._more.set()

    @property
    def _wanted(self) -> int:
        """Jobs that may be under way: as many as give what is missing, at the yield until now."""
        accepted = self._outcome.accepted
        missing = (self._step.accept or 0) - accepted
        return max(math.ceil(missing * (self._taken + 1) / (accepted + 1)), 1)

    async def _as_needed(self, jobs: Iterator[Job]) -> AsyncIterator[Job]:
        for job in jobs:
            while self._begun - self._taken >= self._wanted:
                self._more.clear()
                await self._more.wait()
            self._begun += 1
            yield job
