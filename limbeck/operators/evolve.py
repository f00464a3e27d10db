"""Instructions that get harder, or others of their kind."""

import re
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask, RequestFailed
from limbeck.core.errors import LimbeckError
from limbeck.core.lineage import ID, Row, with_lineage
from limbeck.core.prompting import Drawing, Fills, Prompt, load_prompt
from limbeck.core.prompting.own import carried, own_text
from limbeck.core.seeds import generator
from limbeck.operators.talk import Talk, Unfit, settled, turned_down

NAME = "evolve"
_LEAKS = re.compile(r"(given|rewritten|created|new) prompt|#", flags=re.IGNORECASE)
_SORRY_WORDS = 80
_STOP_WORDS = frozenset({
    "a", "about", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by",
    "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how",
    "i", "if", "in", "is", "it", "its", "just", "me", "more", "my", "no", "nor", "not", "of", "on",
    "or", "our", "she", "so", "some", "than", "that", "the", "their", "them", "then", "there", "these",
    "they", "this", "those", "to", "too", "up", "us", "very", "was", "we", "were", "what", "when",
    "which", "who", "will", "with", "would", "you", "your",
})  # fmt: skip
_WORD = re.compile(r"\w+")


async def evolve(
    row: Row,
    ask: Ask,
    *,
    prompts: Annotated[list[str], Fills(("instruction",), ("answer",))] = [  # noqa: B006
        "evolve_constraint",
        "evolve_deepen",
        "evolve_concretise",
        "evolve_reasoning",
        "evolve_breadth",
    ],
    equal_prompt: Annotated[str, Fills(("before", "after"), ("yes",))] = "evolve_equal",
    answer_prompt: Annotated[str, Fills((), ("answer",))] = "plain",
    rounds: Annotated[int, Field(ge=1)] = 4,
    answers: bool = True,
    max_new_tokens: Annotated[int, Field(ge=1)] = 2048,
    sampling_temperature: Annotated[float, Field(ge=0)] = 1.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The teacher makes an instruction harder in one of several ways, round by round, and answers it.

    A version that adds nothing, repeats words of the prompt, or is answered by an excuse is eliminated; the
    next round starts from the version before it.

    Args:
        prompts: prompt files, of which each round draws one with equal chances; their templates have
            `instruction`.
        equal_prompt: a prompt file that asks whether `after` asks for the same as `before`.
        answer_prompt: a prompt file for the answers.
        rounds: versions of each row at most.
        answers: ask for them; without, the rows have a prompt alone, for `answer`, and no excuse is found.
        max_new_tokens: of an instruction or an answer.
        sampling_temperature: of instructions and answers; the comparison is greedy.
        top_p: of sampling them.
        seed: of what each round draws, and of the draws, where the teacher knows seeds.

    Returns:
        A row a round: the new instruction with its answer, `evolved_by` (the prompt's name) and `depth`
        (rounds that worked until it). Eliminated ones are rejected with the reason: `equal`,
        `prompt_words`, `excuse`, `no_content`, `unchanged` or `length`.

    Source:
        Xu et al. 2023 (WizardLM), arXiv:2304.12244; nlpxucan/WizardLM, `Evol_Instruct/`: five ways drawn
        uniformly, temperature 1, top-p 0.95, 2,048 tokens. The elimination is the paper's; the released
        code has none, and one round. Four rounds as in the paper; the words of the prompts are ours.
    """
    ways = [load_prompt(name) for name in prompts]
    equal, answering = load_prompt(equal_prompt), load_prompt(answer_prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    made: list[dict[str, Any]] = []
    parent, instruction, depth = str(row[ID]), own_text(row), 0
    failures: list[RequestFailed] = []
    for place in range(rounds):
        way = ways[int(generator(seed, NAME, str(row[ID]), place).integers(len(ways)))]
        talk, row_id = Talk(ask), f"{row[ID]}~evolved{place}"
        (found,) = await settled(
            [_version(talk, way, equal, answering, instruction, drawing, answers, place)]
        )
        lineage: dict[str, Any] = {
            "row_id": row_id,
            "parents": [parent],
            "operator": NAME,
            "asked": talk.asked,
        }
        told = {**carried(row), "evolved_by": way.name, "depth": depth + 1}
        if isinstance(found, LimbeckError):
            failures += [found] if isinstance(found, RequestFailed) else []
            told["prompt"] = talk.asked[0][1].text if talk.asked else None
            made.append(turned_down(with_lineage(told, **lineage), NAME, found, talk))
            continue
        made.append(with_lineage({**told, **found}, **lineage))
        parent, instruction, depth = row_id, found["prompt"], depth + 1
    if len(failures) == rounds:
        raise failures[0]
    return made


async def _version(
    talk: Talk,
    way: Prompt,
    equal: Prompt,
    answering: Prompt,
    instruction: str,
    drawing: Drawing,
    answers: bool,
    place: int,
) -> dict[str, Any]:
    """A new version of an instruction, with its answer.

    Raises:
        Unfit: it is eliminated.
    """
    values = {"instruction": instruction}
    after = await talk.text(way, {}, drawing, values=values, sample=place, differs=instruction)
    if (leak := _LEAKS.search(after)) and leak.group(0) not in instruction:
        raise Unfit("prompt_words", f"it says '{leak.group(0)}'")
    greedy = Drawing(16, 0.0)
    same = await talk.read(equal, {}, greedy, values={"before": instruction, "after": after}, sample=place)
    if same["yes"]:
        raise Unfit("equal", "it asks for the same as the one before")
    if not answers:
        return {"prompt": after}
    found = await talk.read(answering, {"prompt": after}, drawing, sample=place)
    _check_answer(str(found["answer"]))
    return {"prompt": after, "completion": str(found["answer"])}


def _check_answer(text: str) -> None:
    words = [word.lower() for word in _WORD.findall(text)]
    if "sorry" in words and len(words) < _SORRY_WORDS:
        raise Unfit("excuse", f"the answer says sorry in {len(words)} words")
    if all(word in _STOP_WORDS for word in words):
        raise Unfit("no_content", "the answer has only punctuation and words that say nothing")
