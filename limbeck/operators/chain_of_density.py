"""Summaries that get denser."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.lineage import Row
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.operators.talk import Talk, made


async def chain_of_density(
    row: Row,
    ask: Ask,
    *,
    prompt: Annotated[str, Fills(("round", "rounds", "summary"), ("answer",))] = "chain_of_density",
    rounds: Annotated[int, Field(ge=1)] = 5,
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """The teacher writes a summary and puts missing entities into it, round by round, at the same length.

    The student learns the last summary, to a plain question.

    Args:
        prompt: a prompt file; its templates have `round` (from 1), `rounds`, and `summary`, the one of the
            round before, which is empty at first.
        rounds: calls for each row.
        max_new_tokens: of a summary.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of the draws, where the teacher knows seeds.

    Returns:
        One row; rejected with the reason where a summary could not be read or was cut.

    Source:
        Adams et al. 2023, arXiv:2309.04269, which asks for all five rounds in one answer; here each is a call
        of its own. As elicitation for a student: Shirgaonkar et al. 2024, arXiv:2410.18588.
    """
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        summary = ""
        for place in range(1, rounds + 1):
            values = {"round": place, "rounds": rounds, "summary": summary}
            summary = await talk.text(known, row, drawing, values=values)
        return [known.learnt(row, summary, values={"round": rounds, "rounds": rounds, "summary": summary})]

    return await made(row, ask, draw, operator="chain_of_density")
