"""Verdicts of a judge as something to learn: a student that judges."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.asking import Ask, Request
from limbeck.core.lineage import Row
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.core.prompting.own import carried, given
from limbeck.operators.both_orders import SWAPPED, answers_of, in_both_orders
from limbeck.operators.talk import Talk, Unfit, made

WRITTEN = {"a": "[[A]]", "b": "[[B]]", "tie": "[[C]]"}
"""A verdict as the parser `winner` reads it."""


async def judging(
    row: Row,
    ask: Ask,
    *,
    prompt: Annotated[str, Fills(("answer_a", "answer_b"), ("winner", "critique"))] = "judge_pair",
    first: str = "chosen",
    second: str = "rejected",
    learn: Literal["critique", "verdict"] = "critique",
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """A judge compares two answers of a row in both orders, and a student learns to judge as it does.

    The student reads what the judge read. What it learns in one order it learns in the other, too, so that
    no place wins more often in what it learns.

    Args:
        prompt: a prompt file; its templates have `answer_a` and `answer_b`. A part `student` is not read.
        first: column of an answer.
        second: column of the other one.
        learn: what the judge wrote, whose verdict comes last; or the verdict alone, as `[[A]]`.
        max_new_tokens: of a comparison.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of the draws, where the judge knows seeds.

    Returns:
        Two rows, one an order, with `verdict` (a, b or tie). Rejected with the reason where either order has
        no verdict, or both do not agree (`inconsistent`).

    Raises:
        RowError: an answer is missing.

    Source:
        Wang et al. 2023 (PandaLM), arXiv:2306.05087: a judge learns the verdicts of a larger one in both
        orders, where those that change with the order are left out. Critique before verdict: Kim et al. 2023
        (Prometheus), arXiv:2310.08491.
    """
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    pair = answers_of(row, first, second)

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        asked = await in_both_orders(talk, known, row, drawing, pair)
        verdicts = [known.parsed(reply)["winner"] for _, reply in asked]
        if verdicts[0] != SWAPPED[verdicts[1]]:
            raise Unfit("inconsistent", f"{verdicts[0]} in one order, {verdicts[1]} in the other")
        return [
            {
                **carried(row),
                "verdict": verdict,
                **_learnt(request, WRITTEN[verdict] if learn == "verdict" else reply.text.strip()),
            }
            for verdict, (request, reply) in zip(verdicts, asked, strict=True)
        ]

    return await made(row, ask, draw, operator="judging", tag="judging")


def _learnt(request: Request, text: str) -> dict[str, Any]:
    """What the judge read as what the student reads."""
    if request.text is not None:
        return {"prompt": request.text, "completion": text}
    return {"messages": [*map(given, request.messages), {"role": "assistant", "content": text}]}
