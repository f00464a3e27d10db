"""Conversations in which the teacher is both sides."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.lineage import ID, Row
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.core.prompting.own import carried, given, own_turns
from limbeck.operators.talk import Talk, draws, made


async def conversation(
    row: Row,
    ask: Ask,
    *,
    user_prompt: Annotated[str, Fills(("turns", "persona", "stop_word"), ("answer",))] = "conversation_user",
    prompt: Annotated[str, Fills((), ("answer",))] = "plain",
    turns: Annotated[int, Field(ge=1)] = 4,
    stop_word: str = "[END]",
    persona: str = "persona",
    thoughts: bool = False,
    samples: Annotated[int, Field(ge=1, le=1000)] = 1,
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    user_max_new_tokens: Annotated[int, Field(ge=1)] = 256,
    sampling_temperature: Annotated[float, Field(ge=0)] = 1.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """The teacher answers what the row asks, asks on as the user, and so on until the user has no more.

    Args:
        user_prompt: a prompt file for the user's next words; its templates have `turns` (each with role and
            content), `persona` and `stop_word`.
        prompt: a prompt file for the answers: its system prompt is read before the conversation.
        turns: of the user at most, the row's own among them.
        stop_word: that the user says instead of more.
        persona: column that says who the user is; empty where the row has none.
        thoughts: learn what the teacher thought before it answered, too, as `reasoning_content` of its turns.
        samples: conversations for each row.
        max_new_tokens: of an answer.
        user_max_new_tokens: of what the user says.
        sampling_temperature: of both; 0: greedy.
        top_p: of sampling both.
        seed: of the draws, where the teacher knows seeds.

    Returns:
        A row a conversation, in which every answer of the teacher is learnt; it ends at an answer that was
        cut. Rejected with the reason where either side says nothing.

    Source:
        Xu et al. 2023 (Baize), arXiv:2304.01196 (self-chat from a seed); Ding et al. 2023 (UltraChat),
        arXiv:2305.14233 (two models, one as the user).
    """
    draws(samples, sampling_temperature)
    asking, answering = load_prompt(user_prompt), load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    user_drawing = Drawing(user_max_new_tokens, sampling_temperature, top_p, seed)

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        said: list[dict[str, Any]] = [given(turn) for turn in own_turns(row)]
        for place in range(turns):
            if place:
                heard = [turn for turn in said if turn["role"] != "system"]
                values = {"turns": heard, "persona": row.get(persona) or "", "stop_word": stop_word}
                text = await talk.text(asking, row, user_drawing, values=values, sample=sample)
                if stop_word in text:
                    break
                said.append({"role": "user", "content": text})
            asked = {ID: row[ID], "messages": said}
            found = await talk.read(answering, asked, drawing, sample=sample)
            reply = talk.asked[-1][1]
            thought = {"reasoning_content": reply.reasoning} if thoughts and reply.reasoning else {}
            said.append({"role": "assistant", "content": str(found["answer"]), **thought})
            if not reply.stopped:
                break
        return [{**carried(row), "messages": said}]

    return await made(row, ask, draw, operator="conversation", samples=samples)
