"""Which of two answers is better, asked in both orders."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.lineage import FIELDS, Row
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.operators.both_orders import SWAPPED, answers_of, in_both_orders
from limbeck.operators.talk import Talk, made


async def judge_pair(
    row: Row,
    ask: Ask,
    *,
    prompt: Annotated[str, Fills(("answer_a", "answer_b"), ("winner", "critique"))] = "judge_pair",
    first: str = "chosen",
    second: str = "rejected",
    winner: str = "winner",
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """A judge compares two answers of a row in both orders; only what it says in both counts.

    The row stays as it is and gets the columns `winner` (`first`, `second` or `tie`), `consistent` (whether
    both orders agree) and `critique`. Where they do not, the winner is a tie: a judge that always takes the
    first one wins nothing for it.

    Args:
        prompt: a prompt file; its templates have `answer_a` and `answer_b`.
        first: column of an answer.
        second: column of the other one.
        winner: column for the verdict, where another judge's is to stay.
        max_new_tokens: of a comparison.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of the draws, where the judge knows seeds.

    Returns:
        The row; rejected with the reason where either order has no verdict.

    Raises:
        RowError: an answer is missing.

    Source:
        Zheng et al. 2023, arXiv:2306.05685 (pairwise comparison, swapped positions, disagreement is a tie).
    """
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    pair = answers_of(row, first, second)

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        asked = await in_both_orders(talk, known, row, drawing, pair)
        found = [known.parsed(reply) for _, reply in asked]
        verdicts = (found[0]["winner"], SWAPPED[found[1]["winner"]])
        agreed = verdicts[0] if verdicts[0] == verdicts[1] else "tie"
        kept = {name: value for name, value in row.items() if name not in FIELDS or name == "reference"}
        return [
            {
                **kept,
                winner: {"a": "first", "b": "second", "tie": "tie"}[agreed],
                "consistent": verdicts[0] == verdicts[1],
                "critique": found[0]["critique"],
            }
        ]

    return await made(row, ask, draw, operator="judge_pair", tag="judged")
