"""Reasons before answers."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.errors import RowError
from limbeck.core.lineage import ID, Row
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.core.prompting.own import own_answer
from limbeck.operators.talk import Talk, draws, made

Learn = Literal["label_and_rationale", "answer", "reasoning"]


async def rationalise(
    row: Row,
    ask: Ask,
    *,
    prompt: Annotated[str, Fills((), ("rationale", "answer"))] = "chain_of_thought",
    learn: Learn = "label_and_rationale",
    labels: Literal["teacher", "own"] = "teacher",
    samples: Annotated[int, Field(ge=1, le=1000)] = 1,
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """The teacher reasons and then answers; the student learns both, or either.

    Args:
        prompt: a prompt file whose parser finds a rationale and an answer: `chain_of_thought`, or with
            examples `step_by_step_cqa`, `step_by_step_nli` and `step_by_step_maths`, which you copy to put
            some of your task in.
        learn: `label_and_rationale`: the answer, and the reasons in the column `rationale`, for training with
            `task: two_task`. `answer`: the answer alone, to the row's own question: the student keeps the
            reasons to itself. `reasoning`: reasons and answer as one text.
        labels: whose answer is learnt: the teacher's, or the row's own beside the teacher's reasons. The own
            one is not shown to the teacher.
        samples: draws of each row.
        max_new_tokens: of reasons and answer.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of the draws, where the teacher knows seeds.

    Returns:
        A row for each sample; rejected with the reason where reasons or answer could not be read.

    Raises:
        RowError: `labels: own`, and the row has no answer.

    Source:
        Hsieh et al. 2023, arXiv:2305.02301, google-research/distilling-step-by-step, `data_utils.py`, whose
        `--label_type` is `labels` (gt: own, llm: teacher). Rows whose reply cannot be read stay there with a
        blank for a label; here they are rejected. `learn: answer` is the asymmetric form of Shirgaonkar et
        al. 2024, arXiv:2410.18588; zero-shot reasoning: Kojima et al. 2022, arXiv:2205.11916.
    """
    draws(samples, sampling_temperature)
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    own = own_answer(row)
    if labels == "own" and own is None:
        raise RowError(f"row {row[ID]}: must have an answer for labels: own, got none. Set labels: teacher.")

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        found = await talk.read(known, row, drawing, sample=sample)
        label = str(own if labels == "own" else found["answer"])
        if learn == "reasoning":
            text = found.get("reasoned") or f"{found['rationale']}\n\n{found['answer']}"
            return [known.learnt(row, text)]
        learnt = known.learnt(row, label)
        return [{**learnt, "rationale": found["rationale"]} if learn == "label_and_rationale" else learnt]

    return await made(row, ask, draw, operator="rationalise", samples=samples)
