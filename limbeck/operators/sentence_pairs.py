"""Pairs of sentences that a plain language model writes into the same place."""

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.asking import Ask, Reply, Request
from limbeck.core.lineage import ID, Row, rejected
from limbeck.core.prompting.own import carried, own_text
from limbeck.core.seeds import generator
from limbeck.operators.talk import Talk, Unfit, made, seed_of_row

NAME = "sentence_pairs"
_BETWEEN = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]*[A-Z0-9])")


async def sentence_pairs(
    row: Row,
    ask: Ask,
    *,
    contexts: Annotated[int, Field(ge=1, le=1000)] = 100,
    candidates: Annotated[int, Field(ge=2, le=1000)] = 100,
    most_pairs: Annotated[int, Field(ge=1)] | None = None,
    context_max_new_tokens: Annotated[int, Field(ge=1)] = 150,
    max_new_tokens: Annotated[int, Field(ge=1)] = 100,
    context_sampling_temperature: Annotated[float, Field(gt=0)] = 1.0,
    sampling_temperature: Annotated[float, Field(gt=0)] = 0.5,
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """A model goes on with a text many times from the same point; any two of its next sentences are a pair.

    Sentences that follow the same words often say the same. Which pairs do is for gates to say: length,
    entailment both ways, numbers, overlap. The row is what texts begin with, such as `LONDON (Reuters) --` or
    `Abstract:`, and its model needs no chat template, as it continues plain text (completions).

    Args:
        contexts: texts that are begun with the row.
        candidates: continuations of each context from one of its sentences on, which is drawn.
        most_pairs: of each context, drawn from all; none: all, which are candidates * (candidates - 1) / 2.
        context_max_new_tokens: of a text.
        max_new_tokens: of a continuation.
        context_sampling_temperature: of texts.
        sampling_temperature: of continuations.
        top_p: of sampling both.
        seed: of what is drawn, and with the row's id of its texts: equal beginnings give different ones.

    Returns:
        A row a pair: one sentence as prompt, the other as completion, `left` (the words before both) and
        `candidates` (sentences that were paired). Contexts without two sentences are rejected (`no_context`,
        `no_pairs`); so is every call that failed.

    Source:
        Jung et al. 2023 (Impossible Distillation), arXiv:2305.16635; jaehunjung1/impossible-distillation,
        `pipeline/orig.py` and `pipeline/con.py`, stage 0: 100 texts of 150 tokens at temperature 1, 100
        continuations of 100 tokens at 0.5, top-p 0.9. Differences: sentences are split by a rule, not by
        spaCy; one sentence of a text is used, not all; equal candidates are one; line breaks end an answer
        where they ban them; three-token sequences may repeat, as servers have no setting for it.
    """

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        reply = await talk.one(
            Request(
                text=own_text(row),
                stop=("\n",),
                sample=sample,
                max_tokens=context_max_new_tokens,
                temperature=context_sampling_temperature,
                top_p=top_p,
                seed=seed_of_row(seed, row),
            )
        )
        random = generator(seed, NAME, str(row[ID]), sample)
        lefts = lefts_of(reply.text)
        if not lefts:
            raise Unfit("no_context", "the text has no whole sentence behind another")
        left = lefts[int(random.integers(len(lefts)))]
        request: dict[str, Any] = {
            "text": left,
            "stop": ("\n",),
            "max_tokens": max_new_tokens,
            "seed": seed_of_row(seed, row),
            "top_p": top_p,
        }
        found = await talk.some(
            [
                Request(sample=place, temperature=sampling_temperature, **request)
                for place in range(candidates)
            ]
        )
        replies = [one for one in found if isinstance(one, Reply)]
        firsts = [split_sentences(one.text)[:1] for one in replies]
        sentences = list(dict.fromkeys(one for first in firsts for one in first if is_sentence(one)))
        pairs = list(combinations(sentences, 2))
        failed = [one.failure for one in found if not isinstance(one, Reply)]
        lost = [rejected({"left": left}, NAME, one.reason, one.message, key=one.key) for one in failed]
        if not pairs and not lost:
            raise Unfit("no_pairs", f"{len(sentences)} different sentences came of {candidates} calls")
        if most_pairs is not None and len(pairs) > most_pairs:
            pairs = [pairs[place] for place in sorted(random.permutation(len(pairs))[:most_pairs])]
        told = {**carried(row), "left": left, "candidates": len(sentences)}
        return [*({**told, "prompt": one, "completion": other} for one, other in pairs), *lost]

    return await made(row, ask, draw, operator=NAME, samples=contexts, tag="pair")


def split_sentences(text: str) -> list[str]:
    """Sentences of a text, by their ends and the capital or digit that follows.

    Example:
        >>> split_sentences(' It rose 2.5 per cent. "Good," he said. Then')
        ['It rose 2.5 per cent.', '"Good," he said.', 'Then']
    """
    return [part.strip() for part in _BETWEEN.split(text.strip()) if part.strip()]


def is_sentence(text: str) -> bool:
    """Whether it is a whole one, as `qualifies_as_y_orig` of the official code has it.

    Example:
        >>> [is_sentence(text) for text in ("So.", "So", "A.")]
        [True, False, False]
    """
    return len(text) >= 3 and "\n" not in text and text[-1] in ".?!"


def lefts_of(text: str) -> list[str]:
    """What stands before each whole sentence of a text but the first.

    Example:
        >>> lefts_of("One went. Two came. And three")
        ['One went.']
    """
    sentences = split_sentences(text)
    return [
        " ".join(sentences[:place]) for place in range(1, len(sentences)) if is_sentence(sentences[place])
    ]
