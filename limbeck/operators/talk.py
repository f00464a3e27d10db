"""What all operators do: ask, remember what was asked, and say what came of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from limbeck.core.asking import Ask, Reply, Request, RequestFailed
from limbeck.core.errors import ConfigError, LimbeckError, Problem
from limbeck.core.lineage import ID, Row, rejected, with_lineage
from limbeck.core.prompting import Drawing, ParseFailed, Prompt
from limbeck.core.prompting.own import unanswered
from limbeck.core.seeds import derived_seed


class Unfit(ParseFailed):
    """What a teacher wrote can be read, and is not what was asked for."""


class Talk:
    """Requests for one row, with their replies, in the order in which they were asked for.

    Attributes:
        asked: until now.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.asked: list[tuple[Request, Reply]] = []

    async def one(self, request: Request) -> Reply:
        """The answer to one request."""
        reply = await self._ask(request)
        self.asked.append((request, reply))
        return reply

    async def all(self, requests: Sequence[Request]) -> list[Reply]:
        """The answers to several requests, which are asked at once."""
        replies = await every([self._ask(request) for request in requests])
        self.asked += zip(requests, replies, strict=True)
        return replies

    async def some(self, requests: Sequence[Request]) -> list[Reply | RequestFailed]:
        """The same, of requests that may fail while the others are of use."""
        found = await settled([self._ask(request) for request in requests])
        pairs = zip(requests, found, strict=True)
        self.asked += [(request, reply) for request, reply in pairs if isinstance(reply, Reply)]
        return found

    async def read(self, prompt: Prompt, row: Row, drawing: Drawing, **more: Any) -> dict[str, Any]:
        """What the prompt's parser finds in the answer to it."""
        return prompt.parsed(await self.one(prompt.request(row, drawing, **more)))

    async def text(
        self, prompt: Prompt, row: Row, drawing: Drawing, *, differs: str = "", **more: Any
    ) -> str:
        """A whole answer, of which a part would not do.

        Args:
            prompt: whose parser finds `answer`.
            row: asked about.
            drawing: how it is drawn.
            differs: a text that it must not be.
            more: of the request.

        Raises:
            Unfit: it was cut, or is `differs`.
        """
        found = str((await self.read(prompt, row, drawing, **more))["answer"])
        if not self.asked[-1][1].stopped:
            raise Unfit("length", f"the answer was cut at {drawing.max_tokens} tokens")
        if found.split() == differs.split():
            raise Unfit("unchanged", "the answer is what was there before")
        return found


Draw = Callable[[Talk, int], Awaitable[Sequence[Mapping[str, Any]]]]
"""Makes rows as the student reads them; raises `ParseFailed` where it cannot."""


async def made(
    row: Row, ask: Ask, draw: Draw, *, operator: str, samples: int = 1, tag: str = ""
) -> list[dict[str, Any]]:
    """Rows of several draws of one row, in order, with their lineage.

    A draw that fails is a rejected row with the reason; where all requests failed, so does this.

    Args:
        row: it is made from.
        ask: the teacher.
        draw: called for each sample, at once.
        operator: that makes the rows.
        samples: draws.
        tag: goes into ids, where rows must not have their parent's.
    """
    talks = [Talk(ask) for _ in range(samples)]
    results = await settled([draw(talk, sample) for sample, talk in enumerate(talks)])
    failures = [result for result in results if isinstance(result, RequestFailed)]
    if len(failures) == samples:
        raise failures[0]
    rows: list[dict[str, Any]] = []
    for sample, (talk, result) in enumerate(zip(talks, results, strict=True)):
        name = f"{row[ID]}~{tag}{sample if samples > 1 else ''}" if tag or samples > 1 else str(row[ID])
        lineage: dict[str, Any] = {"parents": [row[ID]], "operator": operator, "asked": talk.asked}
        if isinstance(result, LimbeckError):
            kept = with_lineage(unanswered(row), row_id=name, sample=sample, **lineage)
            rows.append(turned_down(kept, operator, result, talk))
            continue
        ids = [f"{name}.{place}" for place in range(len(result))] if len(result) > 1 else [name]
        rows += [
            with_lineage(one, row_id=row_id, sample=sample, **lineage)
            for row_id, one in zip(ids, result, strict=False)
        ]
    return rows


def turned_down(row: Row, operator: str, error: LimbeckError, talk: Talk) -> dict[str, Any]:
    """A row of which nothing is learnt, with the reason and what the teacher wrote last."""
    if isinstance(error, RequestFailed):
        failure = error.failure
        return rejected(row, operator, failure.reason, failure.message, key=failure.key)
    assert isinstance(error, ParseFailed)
    last = {"reply": talk.asked[-1][1].text, "key": talk.asked[-1][1].key} if talk.asked else {}
    return rejected(row, operator, error.reason, error.message, **last)


async def settled(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """Results in order; of rows that cannot be made, why. Any other error is raised once all are through."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, ParseFailed | RequestFailed):
            raise result
    return list(results)


async def every(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """Results in order; the first error in order is raised once all are through."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)


def seed_of_row(seed: int, row: Row) -> int:
    """A seed for requests that do not show which row they are for, and would otherwise be one request."""
    return derived_seed(seed, "row", str(row[ID])) % 2**31


def draws(samples: int, sampling_temperature: float) -> None:
    """Refuse several samples that would all be the same.

    Raises:
        ConfigError: more than one is asked for at temperature 0.
    """
    if samples > 1 and not sampling_temperature:
        message = (
            f"must be 1 at sampling_temperature 0, got {samples}; they would be equal. Set a temperature."
        )
        raise ConfigError(Problem("samples", message))
