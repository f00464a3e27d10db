"""Entities of any type in texts, as conversations that ask for one type after another."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from limbeck.core.asking import Ask, RequestFailed
from limbeck.core.errors import LimbeckError
from limbeck.core.lineage import ID, Row, with_lineage
from limbeck.core.prompting import Drawing, Fills, Prompt, load_prompt
from limbeck.core.prompting.own import carried, own_text
from limbeck.core.seeds import generator
from limbeck.operators.tagged import tagged_entities
from limbeck.operators.talk import Talk, Unfit, settled, turned_down

NAME = "extract_entities"
Negatives = Literal["none", "uniform", "frequency", "all"]


async def extract_entities(
    rows: Sequence[Row],
    ask: Ask,
    *,
    prompt: Annotated[str, Fills(("text", "entity_type"), ("entities",))] = "universal_ner",
    labels: Literal["teacher", "own"] = "teacher",
    negatives: Negatives = "frequency",
    negatives_per_type: Annotated[float, Field(ge=0)] = 1.0,
    grounded: bool = True,
    shuffle: bool = True,
    max_new_tokens: Annotated[int, Field(ge=1)] = 1024,
    sampling_temperature: Annotated[float, Field(ge=0)] = 0.0,
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The teacher lists the entities of every text with types of its own; the student is asked type by type.

    All texts are read first, as types that a text does not have are drawn from those of all others: the
    student must learn to answer that there is none.

    Args:
        prompt: a prompt file with a part `student`, whose user turn gives the text, and `parts`: `read`, the
            answer to that turn, and `query`, which asks for `entity_type`.
        labels: whose entities: the teacher's, or the row's own, from tokens and tags; nobody is asked then.
        negatives: types that are not in the text and are answered by an empty list: `none`, drawn `uniform`
            from all, or with their `frequency` (the number of texts that have them); or `all` types of all
            texts, as an exam asks: then a text without any entity stays, too.
        negatives_per_type: of them, for each type that is in the text; rounded down, all the types there
            are at most. The paper does not tell its number.
        grounded: leave out entities whose letters do not stand in the text; they are listed in `ungrounded`.
        shuffle: ask in an order of its own in each row; else types in the text first, as the teacher has
            them.
        max_new_tokens: of a list.
        sampling_temperature: 0: greedy.
        top_p: of sampling.
        seed: of negatives and order.

    Returns:
        A row a text, a conversation in which every answer is learnt; rejected where the list could not be
        read or has no entity left (`no_entities`).

    Source:
        Zhou et al. 2023, arXiv:2308.03279; universal-ner/universal-ner,
        `src/train/fastchat/train/train.py`, `preprocess2`: the queries are shuffled, all answers learnt. It
        shuffles when it tokenises; here the order is drawn once, from the seed. Its training and serving
        have two system prompts; here is one.
    """
    known = load_prompt(prompt)
    drawing = Drawing(max_new_tokens, sampling_temperature, top_p)
    talks = [Talk(ask) for _ in rows]
    may_be_empty = negatives == "all"

    async def listed(talk: Talk, row: Row) -> tuple[dict[str, list[str]], list[str]]:
        own = labels == "own"
        pairs = tagged_entities(row) if own else await _asked_for(talk, known, row, drawing)
        by_type, ungrounded = _by_type(pairs, own_text(row) if grounded else None)
        if not by_type and not may_be_empty:
            raise Unfit("no_entities", "no entity stands in the text")
        return by_type, ungrounded

    found = await settled([listed(talk, row) for talk, row in zip(talks, rows, strict=True)])
    failures = [one for one in found if isinstance(one, RequestFailed)]
    if rows and len(failures) == len(rows):
        raise failures[0]
    texts_with = Counter(name for one in found if isinstance(one, tuple) for name in one[0])
    made = []
    for row, talk, one in zip(rows, talks, found, strict=True):
        lineage: dict[str, Any] = {"row_id": str(row[ID]), "parents": [row[ID]], "operator": NAME}
        if isinstance(one, LimbeckError):
            kept = {**carried(row), "prompt": own_text(row)}
            made.append(turned_down(with_lineage(kept, asked=talk.asked, **lineage), NAME, one, talk))
            continue
        by_type, ungrounded = one
        draw = generator(seed, NAME, str(row[ID]))
        absent = _absent(by_type, texts_with, negatives, int(negatives_per_type * len(by_type)), draw)
        types = [*by_type, *absent]
        if shuffle:
            types = [types[place] for place in draw.permutation(len(types))]
        turns = conversation_of(known, row, {name: by_type.get(name, []) for name in types})
        told = {**carried(row), "messages": turns, "ungrounded": ungrounded}
        made.append(with_lineage(told, asked=talk.asked, **lineage))
    return made


def conversation_of(prompt: Prompt, row: Row, answers: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The text, that it was read, and a question and an answer for each type, in order."""
    values = {"text": own_text(row)}
    first = prompt.learnt(row, prompt.part("read", row, values), values=values)
    turns = first.get("messages") or [
        {"role": "user", "content": first["prompt"]},
        {"role": "assistant", "content": first["completion"]},
    ]
    for name, entities in answers.items():
        query = prompt.part("query", row, {**values, "entity_type": name})
        turns += [
            {"role": "user", "content": query},
            {"role": "assistant", "content": json.dumps(list(entities), ensure_ascii=False)},
        ]
    return turns


async def _asked_for(talk: Talk, prompt: Prompt, row: Row, drawing: Drawing) -> list[tuple[str, str]]:
    """Entities and their types, as the teacher lists them."""
    found = await talk.read(prompt, row, drawing, values={"text": own_text(row)})
    return list(found["entities"])


def _by_type(pairs: Sequence[tuple[str, str]], text: str | None) -> tuple[dict[str, list[str]], list[str]]:
    """Entities by their type, and those that do not stand in the text, if there is one to look into."""
    by_type: dict[str, list[str]] = {}
    ungrounded = []
    for entity, name in pairs:
        if text is not None and entity.lower() not in text.lower():
            ungrounded.append(entity)
        elif entity not in by_type.setdefault(name.lower(), []):
            by_type[name.lower()].append(entity)
    return {name: entities for name, entities in by_type.items() if entities}, ungrounded


def _absent(
    present: Mapping[str, Sequence[str]],
    texts_with: Counter[str],
    negatives: Negatives,
    count: int,
    draw: np.random.Generator,
) -> list[str]:
    """Types that the text does not have."""
    others = sorted(name for name in texts_with if name not in present)
    if negatives == "all":
        return others
    if negatives == "none" or not others or not count:
        return []
    weights = np.array([texts_with[name] if negatives == "frequency" else 1 for name in others], float)
    chosen = draw.choice(len(others), size=min(count, len(others)), replace=False, p=weights / weights.sum())
    return [others[place] for place in chosen]
