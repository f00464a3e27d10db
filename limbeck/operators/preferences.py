"""Pairs of a better and a worse answer."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.lineage import ID, Row
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.core.prompting.own import carried, listed, own_prompt
from limbeck.core.seeds import generator
from limbeck.operators.talk import Talk, Unfit, draws, made


async def preferences(
    row: Row,
    ask: Ask,
    *,
    prompt: Annotated[str, Fills((), ("answer",))] = "plain",
    judge_prompt: Annotated[str, Fills(("answer",), ("score",))] = "judge_score",
    answers: Annotated[int, Field(ge=2, le=1000)] = 4,
    rejects: Literal["random", "worst"] = "random",
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    judge_max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    sampling_temperature: Annotated[float, Field(gt=0)] = 1.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Several answers to a question are scored; the best is chosen, and another one rejected.

    A row with a column `answers` (a list of texts, such as those of several models) brings its own, and is
    only judged. Of answers with the best score, the first is chosen; one with that score is never rejected.

    Args:
        prompt: a prompt file for the answers.
        judge_prompt: a prompt file with the rubric; its templates have `answer`.
        answers: drawn for each row that brings none.
        rejects: `random`: any of those that are not the best; `worst`: the one with the lowest score.
        max_new_tokens: of an answer.
        judge_max_new_tokens: of a critique with its score.
        sampling_temperature: of answers; the judge is greedy.
        top_p: of sampling.
        seed: of the choice of what is rejected, and of the draws, where the teacher knows seeds.

    Returns:
        One row with `chosen` and `rejected`, their scores, and all answers; rejected itself where all scores
        are equal (`all_equal`) or an answer or score could not be read.

    Source:
        Tunstall et al. 2023 (Zephyr), arXiv:2310.16944: four models answer, one judges, the best is chosen
        and one of the others at random rejected. Tournaments in both orders: `judge_pair`.
    """
    draws(answers, sampling_temperature)
    known, judging = load_prompt(prompt), load_prompt(judge_prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        texts = listed(row, "answers")
        if not texts:
            requests = [known.request(row, drawing, sample=place) for place in range(answers)]
            texts = [str(known.parsed(reply)["answer"]) for reply in await talk.all(requests)]
        greedy = Drawing(judge_max_new_tokens, 0.0)
        judged = await talk.all([judging.request(row, greedy, values={"answer": text}) for text in texts])
        scores = [float(judging.parsed(reply)["score"]) for reply in judged]
        best, others = _places(scores)
        if not others:
            raise Unfit("all_equal", f"all {len(scores)} answers have the score {scores[0]:g}")
        lowest = min(others, key=lambda place: scores[place])
        drawn = others[int(generator(seed, "rejected", str(row[ID])).integers(len(others)))]
        worse = lowest if rejects == "worst" else drawn
        return [_paired(row, texts, scores, best, worse)]

    return await made(row, ask, draw, operator="preferences")


def _places(scores: Sequence[float]) -> tuple[int, list[int]]:
    best = max(range(len(scores)), key=lambda place: scores[place])
    return best, [place for place, one in enumerate(scores) if one < scores[best]]


def _paired(row: Row, texts: Sequence[str], scores: Sequence[float], best: int, worse: int) -> dict[str, Any]:
    asked: Any = own_prompt(row)
    pair: dict[str, Any] = {"chosen": texts[best], "rejected": texts[worse]}
    if not isinstance(asked, str):
        pair = {name: [{"role": "assistant", "content": text}] for name, text in pair.items()}
    return {
        **carried(row),
        "prompt" if isinstance(asked, str) else "messages": asked,
        **pair,
        "chosen_score": scores[best],
        "rejected_score": scores[worse],
        "answers": list(texts),
        "scores": list(scores),
    }
