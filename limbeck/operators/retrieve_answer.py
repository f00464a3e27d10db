"""Answers from documents, among others that do not help."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from limbeck.core.asking import Ask, RequestFailed
from limbeck.core.errors import ConfigError, LimbeckError, Problem, RowError
from limbeck.core.lineage import ID, Row, with_lineage
from limbeck.core.prompting import Drawing, Fills, Prompt, load_prompt
from limbeck.core.prompting.own import listed, unanswered
from limbeck.core.seeds import generator
from limbeck.operators.talk import Talk, settled, turned_down

NAME = "retrieve_answer"


async def retrieve_answer(
    rows: Sequence[Row],
    ask: Ask,
    *,
    prompt: Annotated[str, Fills(("documents",), ("rationale", "answer"))] = "retrieve_answer",
    documents: str = "documents",
    helpful: str = "helpful",
    distractors: Annotated[int, Field(ge=0)] = 4,
    without: Annotated[float, Field(ge=0, le=1)] = 0.2,
    learn: Literal["reasoning", "answer"] = "reasoning",
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The teacher answers from the documents that help; the student reads them among others, or only others.

    Distractors are the row's own documents that do not help, and then those of other rows, which is why all
    rows are given together.

    Args:
        prompt: a prompt file with a part `student`; the templates of both have `documents`, a list of texts.
        documents: column with the documents that were found, a list of texts.
        helpful: column with the places, from 0, of those that hold the answer; all of them, where the row
            has no such column.
        distractors: documents that do not help, for each row.
        without: share of rows whose student reads no document that helps: it must know the answer, and
            learn not to trust every document.
        learn: reasons and answer as one text, or the answer alone.
        max_new_tokens: of reasons and answer.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of distractors, of their order, and of which rows go without.

    Returns:
        A row a question, with `helped`: whether the student reads a document that helps. Rejected with the
        reason where reasons or answer could not be read.

    Raises:
        RowError: a row has no document, or `helpful` names one that is not there.
        ConfigError: all rows together have too few distractors.

    Source:
        Zhang et al. 2024 (RAFT), arXiv:2403.10131: the answer with its reasons from the document that
        helps, 4 distractors, 80 % of the rows with the document. Distractors that were found first: Luo et
        al. 2023 (SAIL), arXiv:2305.15225.
    """
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p, seed)
    split = [_split(row, documents, helpful) for row in rows]
    everything = list(dict.fromkeys(text for helps, others in split for text in (*helps, *others)))
    talks = [Talk(ask) for _ in rows]
    found = await settled(
        [
            talk.read(known, row, drawing, values={"documents": helps})
            for talk, row, (helps, _) in zip(talks, rows, split, strict=True)
        ]
    )
    failures = [one for one in found if isinstance(one, RequestFailed)]
    if rows and len(failures) == len(rows):
        raise failures[0]
    made = []
    for row, talk, one, (helps, others) in zip(rows, talks, found, split, strict=True):
        lineage: dict[str, Any] = {"parents": [row[ID]], "operator": NAME, "asked": talk.asked}
        if isinstance(one, LimbeckError):
            kept = with_lineage(unanswered(row), row_id=str(row[ID]), **lineage)
            made.append(turned_down(kept, NAME, one, talk))
            continue
        draw = generator(seed, NAME, str(row[ID]))
        helped = bool(draw.random() >= without)
        extra = distractors if helped else distractors + len(helps)
        shown = [*(helps if helped else ()), *_distracting(helps, others, everything, extra, draw)]
        shown = [shown[place] for place in draw.permutation(len(shown))]
        learnt = _learnt(known, row, one, shown, learn)
        told = {name: value for name, value in learnt.items() if name not in (documents, helpful)}
        made.append(with_lineage({**told, "helped": helped}, row_id=str(row[ID]), **lineage))
    return made


def _learnt(prompt: Prompt, row: Row, found: Any, shown: Sequence[str], learn: str) -> dict[str, Any]:
    whole = found.get("reasoned") or f"{found['rationale']}\n\n{found['answer']}"
    text = whole if learn == "reasoning" else found["answer"]
    return prompt.learnt(row, str(text), values={"documents": list(shown)})


def _split(row: Row, documents: str, helpful: str) -> tuple[list[str], list[str]]:
    """Documents that help, and the others."""
    texts = listed(row, documents)
    places = list(range(len(texts))) if row.get(helpful) is None else listed(row, helpful)
    if not texts or not places or any(not 0 <= place < len(texts) for place in places):
        said = f"{len(texts)} texts and {places}. Leave {helpful} out if all help."
        what = f"{documents} must be a list of texts and {helpful} the places of those that help"
        raise RowError(f"row {row[ID]}: {what}, got {said}")
    return [texts[place] for place in places], [
        text for place, text in enumerate(texts) if place not in places
    ]


def _distracting(
    helps: Sequence[str],
    others: Sequence[str],
    everything: Sequence[str],
    count: int,
    draw: np.random.Generator,
) -> list[str]:
    """Documents that do not help: the row's own first, then those of other rows."""
    own = list(others[:count])
    left = [text for text in everything if text not in helps and text not in own]
    if len(left) < count - len(own):
        said = f"must be at most the documents of other rows, {len(own) + len(left)}, got {count}. Add rows."
        raise ConfigError(Problem("distractors", said))
    return own + [left[place] for place in draw.permutation(len(left))[: count - len(own)]]
