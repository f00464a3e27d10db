"""Reasons for answers that the model did not find by itself, with the answer as a hint."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.errors import RowError
from limbeck.core.lineage import ID, REFERENCE, Row
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.core.prompting.own import own_answer
from limbeck.operators.talk import Talk, Unfit, draws, made


async def rationalise_wrong(
    row: Row,
    ask: Ask,
    *,
    prompt: Annotated[str, Fills(("hint",), ("rationale", "answer"))] = "rationalise_wrong",
    tells: list[str] = ["hint", "given answer", "answer given"],  # noqa: B006
    samples: Annotated[int, Field(ge=1, le=1000)] = 1,
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """The model is told the answer, reasons its way to it, and learns the reasons without having been told.

    For rows that it got wrong, such as those that a gate rejected. The answer is `reference`, or the row's
    own where it has none. Whether the reasons arrive at it is for a gate to say, by `reference`.

    Args:
        prompt: a prompt file; its templates have `hint`, which the student never reads.
        tells: words that give the hint away; reasons that say one which the question does not are rejected.
        samples: draws of each row.
        max_new_tokens: of reasons and answer.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of the draws, where the model knows seeds.

    Returns:
        A row for each sample, with the question, and reasons and answer as what is learnt; rejected where
        they could not be read, or tell of the hint (`hint_told`).

    Raises:
        RowError: no answer is known.

    Source:
        Zelikman et al. 2022 (STaR), arXiv:2203.14465; ezelikman/STaR, `iteration_train.py`, `--rationalize`,
        which keeps what arrives at the answer and trains without the hint (`p_show_hint_save` 0). The check
        for words that tell of it is ours.
    """
    draws(samples, sampling_temperature)
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    hint = row.get(REFERENCE) or own_answer(row)
    if not hint:
        raise RowError(f"row {row[ID]}: must have reference or an answer as the hint, got neither.")

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        found = await talk.read(known, row, drawing, values={"hint": hint}, sample=sample)
        learnt = known.learnt(row, found.get("reasoned") or f"{found['rationale']}\n\n{found['answer']}")
        asked = " ".join(str(value) for value in row.values()).lower()
        told = [word for word in tells if word in found["rationale"].lower() and word not in asked]
        if told:
            raise Unfit("hint_told", f"the reasons say '{told[0]}', which the student cannot know of")
        return [{**learnt, REFERENCE: hint}]

    return await made(row, ask, draw, operator="rationalise_wrong", samples=samples, tag="rationalised")
