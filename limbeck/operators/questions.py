"""Questions that a text answers."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.lineage import Row, rejected
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.core.prompting.own import carried, own_text
from limbeck.operators.talk import Talk, Unfit, draws, made

NAME = "questions"


async def questions(
    row: Row,
    ask: Ask,
    *,
    prompt: Annotated[str, Fills(("count",), ("items",))] = "questions",
    count: Annotated[int, Field(ge=1)] = 3,
    samples: Annotated[int, Field(ge=1, le=1000)] = 1,
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.7,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """The teacher asks what a text answers: a corpus becomes questions, each with its text as a document.

    Let `retrieve_answer` answer from the document, among those of other rows, or `answer` without it.

    Args:
        prompt: a prompt file whose parser finds `items`; its templates have `count`.
        count: questions that are asked for at once; a teacher may write more or fewer.
        samples: times that each text is asked about.
        max_new_tokens: of a list of questions.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of the draws, where the teacher knows seeds.

    Returns:
        A row a question: it as `prompt`, the text in `documents`. Items that end without a question mark are
        rejected (`no_question`), and so is a list that was cut (`length`) or could not be read.

    Source:
        Curation in Xu et al. 2024, arXiv:2402.13116; questions from documents as in Bonifacio et al. 2022
        (InPars), arXiv:2202.05144, and Zhang et al. 2024 (RAFT), arXiv:2403.10131.
    """
    draws(samples, sampling_temperature)
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        found = await talk.read(known, row, drawing, values={"count": count}, sample=sample)
        if not talk.asked[-1][1].stopped:
            raise Unfit("length", f"the list was cut at {max_new_tokens} tokens")
        about = {**carried(row), "documents": [own_text(row)]}
        asked = [{**about, "prompt": text} for text in dict.fromkeys(found["items"])]
        return [
            one
            if one["prompt"].endswith("?")
            else rejected(one, NAME, "no_question", "it has no question mark")
            for one in asked
        ]

    return await made(row, ask, draw, operator=NAME, samples=samples, tag="question")
