"""Answers to the questions of rows."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.lineage import Row
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.core.prompting.own import with_thoughts, with_turn
from limbeck.operators.talk import Talk, Unfit, draws, made


async def answer(
    row: Row,
    ask: Ask,
    *,
    prompt: Annotated[str, Fills((), ("answer",))] = "plain",
    thoughts: bool = False,
    samples: Annotated[int, Field(ge=1, le=1000)] = 1,
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    sampling_temperature: Annotated[float, Field(ge=0)] = 1.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """The teacher answers what a row asks, once or several times.

    The teacher reads the prompt file's question, the student the row's own, unless the file says otherwise.
    Where the row has tools, the teacher may call them, and the call is what is learnt; `tool_calls` goes on
    with what functions give.
    The answer a row had goes to `reference`. An answer that was cut is kept with `finished: false`.

    Args:
        prompt: a prompt file, or the name of one.
        thoughts: learn what the teacher thought before it answered, too: the row is then a conversation whose
            last turn has `reasoning_content`. Without, thoughts are kept in `reasoning` and not learnt.
        samples: answers to each question; each is kept, so raising this later asks for the rest.
        max_new_tokens: of an answer, thoughts included.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of the draws, where the teacher knows seeds.

    Returns:
        A row for each sample; rejected with the reason where the answer could not be read, or where thoughts
        are to be learnt and the teacher tells none (`no_thoughts`).

    Source:
        Labelling in Xu et al. 2024, arXiv:2402.13116; sequence-level distillation of Kim and Rush 2016,
        arXiv:1606.07947.
    """
    draws(samples, sampling_temperature)
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        reply = await talk.one(known.request(row, drawing, sample=sample))
        calls = row.get("tools") and reply.tool_calls
        turn = {**reply.turn(), "reasoning_content": None}
        learnt = with_turn(row, turn) if calls else known.learnt(row, str(known.parsed(reply)["answer"]))
        if not thoughts:
            return [learnt]
        if not reply.reasoning:
            raise Unfit("no_thoughts", "the teacher tells no thoughts")
        return [with_thoughts(learnt, reply.reasoning)]

    return await made(row, ask, draw, operator="answer", samples=samples)
