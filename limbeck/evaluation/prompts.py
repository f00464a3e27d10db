"""Held-out prompts: where a row's prompt ends and what should follow it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.kinds import kind_named
from limbeck.core.masks import IGNORE
from limbeck.core.seeds import generator
from limbeck.evaluation.data import EvaluationData, segments
from limbeck.evaluation.settings import EvaluationSettings

_READ_AT_ONCE = 32
_SHORTEST_PROMPT = 2  # one token is only the start of every text


@dataclass(frozen=True)
class Prompt:
    """One held-out prompt.

    Attributes:
        row: id of its row, or `id#k` of a later window of it.
        ids: tokens the models read.
        reference: tokens that follow in the held-out row.
        is_cut: whether it is the beginning of a row that is learnt whole.
    """

    row: str
    ids: list[int]
    reference: list[int]
    is_cut: bool = False


def held_out_prompts(evidence: EvaluationData) -> list[Prompt]:
    """The prompts of randomly drawn rows, the same for every subject, however long; see `fitting_prompts`."""
    return fitting_prompts(evidence, None)[0]


def fitting_prompts(evidence: EvaluationData, room: int | None) -> tuple[list[Prompt], int]:
    """The prompts of randomly drawn rows, the same for every subject, and how many were too long.

    A causal row's prompt is what comes before its first learnt token. A row that is learnt whole
    (plain text) is cut after `prompt_tokens` tokens, or in the middle if it is shorter than twice
    that. Of a long text one of its windows is drawn, so that prompts are of all its parts and not of
    beginnings alone. A seq2seq row's prompt is the encoder's input.

    Args:
        evidence: whose rows are drawn.
        room: most tokens of a prompt, so that what follows fits the context; None: any.
    """
    settings = evidence.settings
    order = generator(settings.seed, "prompts").permutation(len(evidence.source)).tolist()
    found: dict[str, Prompt] = {}
    too_long: set[str] = set()
    for start in range(0, len(order), _READ_AT_ONCE):
        batch = evidence.source.batch(order[start : start + _READ_AT_ONCE])
        for prompt in _of_encoder(batch) if evidence.kind.encoder_decoder else _of_text(batch, evidence):
            row = evidence.row_id(prompt.row)
            if room is not None and len(prompt.ids) > room:
                too_long.add(row)
            else:
                # Windows come in random order: the first of a row is a random one of them.
                found.setdefault(row, prompt)
            if len(found) == settings.prompts:
                return list(found.values()), len(too_long - set(found))
    return list(found.values()), len(too_long - set(found))


def prompt_room(settings: EvaluationSettings, positions: Iterable[int | None]) -> int | None:
    """Most tokens of a prompt for models with these positions; None where no end is known.

    Encoder and decoder of a seq2seq model have positions of their own.
    """
    least = min((known for known in positions if known is not None), default=None)
    if least is None or (kind_named(settings.kind).encoder_decoder and settings.max_new_tokens <= least):
        return least
    return least - settings.max_new_tokens


def check_prompts(rows: Iterable[Sequence[int]]) -> None:
    """Refuse rows of which none gives a prompt: two tokens to read and one to follow.

    Raises:
        ConfigError: no row has so many tokens.
    """
    if not any(len(ids) > _SHORTEST_PROMPT for ids in rows):
        raise ConfigError(
            "generation must have a held-out row of at least three tokens, got none. Hold out longer "
            "rows, or leave generation out."
        )


def same_prompts(prompts: Sequence[Prompt], texts: Sequence[str], evidence: EvaluationData) -> list[Prompt]:
    """The same prompts, in the same order, in the tokens of subjects with another tokenizer.

    Args:
        prompts: in the tokens of the first group.
        texts: of the prompts.
        evidence: of the subjects that are to continue them.
    """
    own: dict[str, Prompt] = {}
    for start in range(0, len(evidence.source), _READ_AT_ONCE):
        indices = list(range(start, min(start + _READ_AT_ONCE, len(evidence.source))))
        batch = evidence.source.batch(indices)
        found = _of_encoder(batch) if evidence.kind.encoder_decoder else _of_text(batch, evidence)
        own = {prompt.row: prompt for prompt in found} | own
    tokenizer, special = evidence.subjects[0].tokenizer, set(evidence.subjects[0].tokenizer.all_special_ids)
    translated = []
    for prompt, text in zip(prompts, texts, strict=True):
        given = own.get(prompt.row)
        if given is not None and not prompt.is_cut:
            translated.append(given)
            continue
        opening = list(takewhile(special.__contains__, given.ids if given else []))
        # A prompt that was cut inside a character ends before it.
        ids = tokenizer(text.rstrip("\ufffd"), add_special_tokens=False)["input_ids"]
        translated.append(Prompt(prompt.row, [*opening, *ids], []))
    return translated


class Stretch(NamedTuple):
    """Tokens of a row that are learnt without a break, such as one answer of a conversation.

    Attributes:
        row: id of the row.
        before: tokens between it and the one before, or the row's start.
        answer: its tokens.
    """

    row: str
    before: list[int]
    answer: list[int]

    @property
    def all(self) -> list[int]:
        """Both."""
        return [*self.before, *self.answer]


def learnt_stretches(evidence: EvaluationData) -> Iterator[list[Stretch]]:
    """The learnt stretches of every held-out row, in order; of a seq2seq row its one answer.

    Rows that are read in several windows are passed over but for the first.
    """
    for start in range(0, len(evidence.source), _READ_AT_ONCE):
        batch = evidence.source.batch(list(range(start, min(start + _READ_AT_ONCE, len(evidence.source)))))
        if evidence.kind.encoder_decoder:
            yield from ([Stretch(one.row, one.ids, one.reference)] for one in _of_encoder(batch))
            continue
        segment, _ = segments(batch)
        assert batch.targets is not None
        ids, targets = batch.inputs["input_ids"].cpu().numpy(), batch.targets.cpu().numpy()
        for row, names in enumerate(batch.row_ids):
            for part, name in enumerate(names):
                inside = np.flatnonzero(segment[row] == part)
                if name in evidence.rows and len(inside):
                    yield _stretches(name, ids[row][inside], targets[row][inside])


def _stretches(name: str, ids: np.ndarray, targets: np.ndarray) -> list[Stretch]:
    """Stretches of one row, whose positions predict the tokens one place later."""
    learnt = np.concatenate([[0], targets[:-1] != IGNORE, [0]]).astype(np.int8)
    found, last = [], 0
    for start, end in np.flatnonzero(np.diff(learnt)).reshape(-1, 2) + 1:
        found.append(Stretch(name, ids[last:start].tolist(), ids[start:end].tolist()))
        last = end
    return found


def _of_encoder(batch: Batch) -> list[Prompt]:
    assert batch.targets is not None
    ids, targets = batch.inputs["input_ids"].cpu().numpy(), batch.targets.cpu().numpy()
    mask = batch.inputs.get("attention_mask")
    read = np.ones_like(ids) if mask is None else mask.cpu().numpy()
    return [
        Prompt(names[0], ids[row][read[row] == 1].tolist(), targets[row][targets[row] != IGNORE].tolist())
        for row, names in enumerate(batch.row_ids)
    ]


def _of_text(batch: Batch, evidence: EvaluationData) -> list[Prompt]:
    segment, _ = segments(batch)
    assert batch.targets is not None
    ids, targets = batch.inputs["input_ids"].cpu().numpy(), batch.targets.cpu().numpy()
    found = []
    for row, names in enumerate(batch.row_ids):
        for part, name in enumerate(names):
            is_window = name not in evidence.rows  # `id#k`
            if is_window and "text" not in evidence.rows.get(evidence.row_id(name), {}):
                continue
            inside = np.flatnonzero(segment[row] == part)
            loss_mask = inside[targets[row][inside] != IGNORE]
            if not len(loss_mask):
                continue
            start = int(loss_mask[0])
            is_cut = start - int(inside[0]) + 1 < _SHORTEST_PROMPT
            if is_cut:
                start = int(inside[0]) + min(evidence.settings.prompt_tokens, (len(loss_mask) + 1) // 2) - 1
                if start - int(inside[0]) + 1 < _SHORTEST_PROMPT:
                    continue
            # The first answer only: later turns of a conversation follow other prompts.
            after = targets[row][start : int(inside[-1]) + 1]
            ends = np.flatnonzero(after == IGNORE)
            reference = after[: ends[0]] if len(ends) else after
            before = ids[row][int(inside[0]) : start + 1].tolist()
            found.append(Prompt(name, before, reference.tolist(), is_cut))
    return found
