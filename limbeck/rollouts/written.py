"""Token sequences between batches: taken out of one, written, put into another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.masks import IGNORE, next_token_targets
from limbeck.core.rollouts import SOURCES

_PADDING = -1  # sequence id of padding: negative, as `next_token_targets` asks


@dataclass(frozen=True)
class Written:
    """One row of a batch, without padding.

    Attributes:
        row_id: of the data row.
        ids: prompt and answer.
        is_target: at the tokens that are learnt.
        source: who wrote the learnt part, one of `SOURCES`.
        numbers: name -> one number for each token, at the position that predicts it (the last is 0).
    """

    row_id: str
    ids: tuple[int, ...]
    is_target: tuple[bool, ...]
    source: str = "data"
    numbers: Mapping[str, Tensor] = field(default_factory=dict)

    def prompt(self, of_text: int) -> tuple[int, ...]:
        """What comes before the last learnt stretch; of plain text, the first tokens (`prompt_length`)."""
        return self.ids[: prompt_length(self.is_target, of_text)]

    def answered(self, prompt: Sequence[int], answer: Sequence[int], source: str) -> "Written":
        """The same row with another answer, all of which is learnt."""
        is_target = (False,) * len(prompt) + (True,) * len(answer)
        return replace(self, ids=(*prompt, *answer), is_target=is_target, source=source, numbers={})


def prompt_length(is_target: Sequence[bool], of_text: int) -> int:
    """Tokens before the last learnt stretch; `of_text` of a row that is learnt from its first token on.

    Batches do not say whether the first token is learnt: a prompt of a single token passes for text.
    """
    start = len(is_target)
    while start and not is_target[start - 1]:
        start -= 1
    while start and is_target[start - 1]:
        start -= 1
    return start if start > 1 else max(1, min(of_text, len(is_target) - 1))


def taken_apart(batch: Batch) -> list[Written]:
    """The rows of a padded batch."""
    assert batch.targets is not None
    lengths = batch.inputs["attention_mask"].sum(1).tolist()
    rows = []
    for ids, targets, length, names in zip(
        batch.inputs["input_ids"].tolist(), batch.targets.tolist(), lengths, batch.row_ids, strict=True
    ):
        learnt = (False, *(target != IGNORE for target in targets[: length - 1]))
        rows.append(Written(names[0], tuple(ids[:length]), learnt))
    return rows


def put_together(sequences: Sequence[Written], pad: int, device: torch.device) -> Batch:
    """A padded batch; its groups are the sources, its signals the numbers that every sequence has."""
    shape = (len(sequences), max(len(one.ids) for one in sequences))
    ids, mask = np.full(shape, pad, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    learnt = np.zeros(shape, dtype=np.bool_)
    numbers = {name: torch.zeros(shape) for name in sequences[0].numbers}
    for line, one in enumerate(sequences):
        here = (line, slice(0, len(one.ids)))
        ids[here], mask[here], learnt[here] = one.ids, 1, one.is_target
        for name, values in numbers.items():
            values[here] = one.numbers[name]
    targets = next_token_targets(ids, learnt, np.where(mask == 1, 0, _PADDING))
    sources = np.array([SOURCES.index(one.source) for one in sequences])[:, None]
    batch = Batch(
        inputs={"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)},
        targets=torch.from_numpy(targets),
        row_ids=[[one.row_id] for one in sequences],
        groups=torch.from_numpy(np.where(targets == IGNORE, IGNORE, sources)),
        group_names=SOURCES,
        signals=numbers,
    )
    return batch.to(device)


def with_numbers(sequences: Sequence[Written], numbers: Mapping[str, Tensor]) -> list[Written]:
    """The sequences with their lines of [B, T] numbers."""
    kept = {name: values.cpu() for name, values in numbers.items()}
    return [
        replace(one, numbers={name: values[line, : len(one.ids)].clone() for name, values in kept.items()})
        for line, one in enumerate(sequences)
    ]
