"""Scores of answers by a rubric."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.errors import RowError
from limbeck.core.lineage import FIELDS, ID, Row
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.core.prompting.own import own_answer
from limbeck.operators.talk import Talk, made


async def judge(
    row: Row,
    ask: Ask,
    *,
    prompt: Annotated[str, Fills(("answer",), ("score", "critique"))] = "judge_score",
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """A judge says what is good and bad in a row's answer, and scores it.

    The row stays as it is and gets the columns `judge_score` and `critique`. A teacher should not be the only
    judge of its own answers: it likes them.

    Args:
        prompt: a prompt file with the rubric; its templates have `answer`, the row's own.
        max_new_tokens: of a critique with its score.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of the draws, where the judge knows seeds.

    Returns:
        The row; rejected with the reason where there is no score.

    Raises:
        RowError: the row has no answer.

    Source:
        Zheng et al. 2023, arXiv:2306.05685 (grading of single answers); critiques as feedback: Cui et al.
        2023 (UltraFeedback), arXiv:2310.01377.
    """
    known, own = load_prompt(prompt), own_answer(row)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    if not own:
        raise RowError(f"row {row[ID]}: must have an answer to judge, got none. Let a teacher answer first.")

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        found = await talk.read(known, row, drawing, values={"answer": own})
        kept = {name: value for name, value in row.items() if name not in FIELDS or name == "reference"}
        return [{**kept, "judge_score": float(found["score"]), "critique": found["critique"]}]

    return await made(row, ask, draw, operator="judge", tag="judged")
