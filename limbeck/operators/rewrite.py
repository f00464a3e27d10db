"""Questions or answers in other words."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.errors import RowError
from limbeck.core.lineage import ID, Row
from limbeck.core.prompting import Drawing, Fills, load_prompt
from limbeck.core.prompting.own import answered, carried, own_answer, own_text
from limbeck.operators.talk import Talk, draws, made


async def rewrite(
    row: Row,
    ask: Ask,
    *,
    prompt: Annotated[str, Fills(("answer",), ("answer",))] = "rewrite_question",
    what: Literal["question", "answer"] = "question",
    samples: Annotated[int, Field(ge=1, le=1000)] = 1,
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.7,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int | None = None,
) -> list[dict[str, Any]]:
    """The teacher says a row's question, or its answer, in other words; the other half stays as it is.

    Args:
        prompt: a prompt file; its templates have `answer`, the row's own. `rewrite_question` and
            `rewrite_answer` are shipped.
        what: which half the teacher's words take the place of.
        samples: versions of each row.
        max_new_tokens: of a version.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of the draws, where the teacher knows seeds.

    Returns:
        A row for each version; rejected where it is cut, empty or what was there before (`unchanged`).

    Raises:
        RowError: `what: answer`, and the row has none.

    Source:
        Curation in Xu et al. 2024, arXiv:2402.13116; rephrased questions as in MetaMath, Yu et al. 2023,
        arXiv:2309.12284.
    """
    draws(samples, sampling_temperature)
    known, own = load_prompt(prompt), own_answer(row)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    if what == "answer" and not own:
        raise RowError(f"row {row[ID]}: must have an answer to rewrite, got none. Use what: question.")

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        before = own if what == "answer" else own_text(row)
        text = await talk.text(
            known, row, drawing, values={"answer": own or ""}, sample=sample, differs=str(before)
        )
        if what == "answer":
            return [answered(row, text)]
        return [{**carried(row), "prompt": text, **({"completion": own} if own else {})}]

    return await made(row, ask, draw, operator="rewrite", samples=samples, tag="rewritten")
