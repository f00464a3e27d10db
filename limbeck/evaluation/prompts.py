"""Held-out prompts: where a row's prompt ends and what should follow it."""

from dataclasses import dataclass

import numpy as np

from limbeck.core.batch import Batch
from limbeck.core.masks import IGNORE
from limbeck.core.seeds import generator
from limbeck.evaluation.evidence import Evidence, segments

_READ_AT_ONCE = 32
_SHORTEST_PROMPT = 2  # one token is only the start of every text


@dataclass(frozen=True)
class Prompt:
    """One held-out prompt.

    Attributes:
        row: id of its row.
        ids: tokens the models read.
        reference: tokens that follow in the held-out row.
    """

    row: str
    ids: list[int]
    reference: list[int]


def held_out_prompts(evidence: Evidence) -> list[Prompt]:
    """The prompts of randomly drawn rows, the same for every subject.

    A causal row's prompt is what comes before its first learnt token. A row that is learnt whole
    (plain text) is cut after `prompt_tokens` tokens, or in the middle if it is shorter than twice
    that. A seq2seq row's prompt is the encoder's input. Only the start of a long text is used.
    """
    settings = evidence.settings
    order = generator(settings.seed, "prompts").permutation(len(evidence.source)).tolist()
    found: list[Prompt] = []
    for start in range(0, len(order), _READ_AT_ONCE):
        batch = evidence.source.batch(order[start : start + _READ_AT_ONCE])
        if settings.kind == "seq2seq":
            found += _of_encoder(batch)
        else:
            found += _of_text(batch, evidence)
        if len(found) >= settings.prompts:
            break
    return found[: settings.prompts]


def _of_encoder(batch: Batch) -> list[Prompt]:
    assert batch.targets is not None
    ids, targets = batch.inputs["input_ids"].cpu().numpy(), batch.targets.cpu().numpy()
    mask = batch.inputs.get("attention_mask")
    read = np.ones_like(ids) if mask is None else mask.cpu().numpy()
    return [
        Prompt(names[0], ids[row][read[row] == 1].tolist(), targets[row][targets[row] != IGNORE].tolist())
        for row, names in enumerate(batch.row_ids)
    ]


def _of_text(batch: Batch, evidence: Evidence) -> list[Prompt]:
    segment, _ = segments(batch)
    assert batch.targets is not None
    ids, targets = batch.inputs["input_ids"].cpu().numpy(), batch.targets.cpu().numpy()
    found = []
    for row, names in enumerate(batch.row_ids):
        for part, name in enumerate(names):
            if name not in evidence.rows:  # `id#k`: a later window of a long text
                continue
            inside = np.flatnonzero(segment[row] == part)
            learnt = inside[targets[row][inside] != IGNORE]
            if not len(learnt):
                continue
            start = int(learnt[0])
            if start - int(inside[0]) + 1 < _SHORTEST_PROMPT:
                start = int(inside[0]) + min(evidence.settings.prompt_tokens, (len(learnt) + 1) // 2) - 1
                if start - int(inside[0]) + 1 < _SHORTEST_PROMPT:
                    continue
            # The first answer only: later turns of a conversation follow other prompts.
            after = targets[row][start : int(inside[-1]) + 1]
            ends = np.flatnonzero(after == IGNORE)
            reference = after[: ends[0]] if len(ends) else after
            found.append(Prompt(name, ids[row][int(inside[0]) : start + 1].tolist(), reference.tolist()))
    return found
