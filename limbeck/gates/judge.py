"""Answers that a judge scores high enough."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Annotated

from pydantic import Field

from limbeck.core.asking import Ask, RequestFailed
from limbeck.core.prompting import Drawing, Fills, ParseFailed, Prompt, load_prompt
from limbeck.gates.batches import batches
from limbeck.gates.reading import text_of
from limbeck.gates.verdict import ACCEPTED, Row, Verdict

_ROWS = 256  # asked about at once; the engine behind `ask` has limits of its own


async def judge(
    rows: Iterable[Row],
    ask: Ask,
    *,
    minimum: float,
    prompt: Annotated[str, Fills(("answer",), ("score", "critique"))] = "judge_score",
    column: str | None = None,
    samples: Annotated[int, Field(ge=1)] = 1,
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    seed: int | None = None,
) -> AsyncIterator[Verdict]:
    """Let answers through whose mean score by a judge is high enough.

    A judge likes long answers and those of its own family; it should not be the teacher that wrote them.
    To score in an `elicit` step of its own, with the critiques as columns, take the operator `judge`.

    Args:
        rows: to judge, each alone.
        ask: the judge.
        minimum: mean score that passes, included, on the scale of the prompt's parser (1 to 10 in
            `judge_score`).
        prompt: a prompt file with the rubric; its templates have `answer`.
        column: the text; none: the row's answer.
        samples: scores of each row.
        max_new_tokens: of a critique with its score.
        sampling_temperature: 0: greedy, which makes more samples useless.
        seed: of the draws, where the judge knows seeds.

    Yields:
        score: the mean; reasons `low`, `unparsed` (an answer of the judge has no score) and `unanswered`
            (a request
        failed). The detail is the critique, or what went wrong.

    Source:
        Zheng et al. 2023, arXiv:2306.05685 (grading of single answers).
    """
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, seed=seed)

    async def scored(row: Row) -> Verdict:
        values = {"answer": text_of(row, column)}
        try:
            asked = (_once(ask, known, row, drawing, values, sample) for sample in range(samples))
            found = await asyncio.gather(*asked)
        except ParseFailed as error:
            return Verdict(None, False, "unparsed", str(error))
        except RequestFailed as error:
            return Verdict(None, False, "unanswered", str(error))
        score = sum(one for one, _ in found) / samples
        passed = score >= minimum
        return Verdict(score, passed, ACCEPTED if passed else "low", found[0][1])

    for some in batches(rows, _ROWS):
        for verdict in await asyncio.gather(*map(scored, some)):
            yield verdict


async def _once(
    ask: Ask, known: Prompt, row: Row, drawing: Drawing, values: dict[str, str], sample: int
) -> tuple[float, str]:
    found = known.parsed(await ask(known.request(row, drawing, values=values, sample=sample)))
    return float(found["score"]), str(found["critique"])
