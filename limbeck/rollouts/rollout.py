"""Token sequences between batches: taken out of one, written, put into another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.masks import IGNORE, next_token_targets, tokens_in_loss
from limbeck.core.rollouts import SOURCES

_PADDING = -1  # sequence id of padding: negative, as `next_token_targets` asks
_LINE = 512  # tokens: attention over so many costs a tenth of the products of a layer 768 wide


@dataclass(frozen=True)
class Rollout:
    """One row of a batch, without padding.

    Attributes:
        row_id: of the data row.
        ids: prompt and answer.
        is_target: at the tokens that are learnt.
        source: who wrote the part in the loss, one of `SOURCES`.
        numbers: name -> one number for each token, at the position that predicts it (the last is 0).
    """

    row_id: str
    ids: tuple[int, ...]
    is_target: tuple[bool, ...]
    source: str = "data"
    numbers: Mapping[str, Tensor] = field(default_factory=dict)

    def prompt(self, of_text: int) -> tuple[int, ...]:
        """What comes before the last stretch in the loss; of plain text, the first tokens."""
        return self.ids[: prompt_length(self.is_target, of_text)]

    def answered(self, prompt: Sequence[int], answer: Sequence[int], source: str) -> "Rollout":
        """The same row with another answer, all of which is learnt."""
        is_target = (False,) * len(prompt) + (True,) * len(answer)
        return replace(self, ids=(*prompt, *answer), is_target=is_target, source=source, numbers={})


def prompt_length(is_target: Sequence[bool], of_text: int) -> int:
    """Tokens before the last stretch in the loss; `of_text` of a row that is learnt from its first token on.

    Batches do not say whether the first token is learnt: a prompt of a single token passes for text.
    """
    start = len(is_target)
    while start and not is_target[start - 1]:
        start -= 1
    while start and is_target[start - 1]:
        start -= 1
    return start if start > 1 else max(1, min(of_text, len(is_target) - 1))


def uncollate(batch: Batch) -> list[Rollout]:
    """The rows of a padded batch."""
    assert batch.targets is not None
    lengths = batch.inputs["attention_mask"].sum(1).tolist()
    loss_mask = tokens_in_loss(batch.targets.cpu().numpy()).tolist()
    rows = zip(batch.row_ids, batch.inputs["input_ids"].tolist(), loss_mask, lengths, strict=True)
    return [
        Rollout(names[0], tuple(ids[:length]), tuple(loss_mask[:length]))
        for names, ids, loss_mask, length in rows
    ]


def collate_rollouts(
    sequences: Sequence[Rollout], pad: int, device: torch.device, *, packed: bool = False
) -> Batch:
    """A batch of the sequences; its groups are the sources, its signals the numbers that all have.

    Padded to the longest, one a row; or `packed`, several of them end to end in a row, told apart by
    positions that start at 0 again (as `rows.source.PackedSource` does).
    """
    lines = _lines(sequences) if packed else [[one] for one in sequences]
    shape = (len(lines), max(sum(len(one.ids) for one in line) for line in lines))
    ids, positions = np.full(shape, pad, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    loss_mask, sources = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.int64)
    numbered = np.full(shape, _PADDING, dtype=np.int64)
    numbers = {name: torch.zeros(shape) for name in sequences[0].numbers}
    for line, chosen in enumerate(lines):
        start = 0
        for number, one in enumerate(chosen):
            here = (line, slice(start, start + len(one.ids)))
            ids[here], positions[here], loss_mask[here] = one.ids, np.arange(len(one.ids)), one.is_target
            sources[here], numbered[here] = SOURCES.index(one.source), number
            for name, values in numbers.items():
                values[here] = one.numbers[name]
            start += len(one.ids)
    targets = next_token_targets(ids, loss_mask, numbered)
    apart = {"position_ids": positions} if packed else {"attention_mask": (numbered >= 0).astype(np.int64)}
    batch = Batch(
        inputs={name: torch.from_numpy(array) for name, array in {"input_ids": ids, **apart}.items()},
        targets=torch.from_numpy(targets),
        row_ids=[[one.row_id for one in chosen] for chosen in lines],
        groups=torch.from_numpy(np.where(targets == IGNORE, IGNORE, sources)),
        group_names=SOURCES,
        packed_lengths=[sum(len(one.ids) for one in line) for line in lines] if packed else None,
        signals=numbers,
    )
    return batch.to(device)


def _lines(sequences: Sequence[Rollout]) -> list[list[Rollout]]:
    """Sequences that share a line, so that all lines are about equally long and little is padding.

    Longer lines leave less padding, but attention does more: up to twice the longest sequence, and
    not beyond `_LINE` for packing's sake, the padding saved outweighs it.
    """
    lengths = [len(one.ids) for one in sequences]
    capacity = max(max(lengths), min(2 * max(lengths), _LINE))
    lines: list[list[Rollout]] = [[] for _ in range(-(-sum(lengths) // capacity))]
    taken = [0] * len(lines)
    for one in sorted(sequences, key=lambda one: -len(one.ids)):
        line = taken.index(min(taken))
        lines[line].append(one)
        taken[line] += len(one.ids)
    return lines


def with_numbers(sequences: Sequence[Rollout], numbers: Mapping[str, Tensor]) -> list[Rollout]:
    """The sequences with their lines of [B, T] numbers."""
    kept = {name: values.cpu() for name, values in numbers.items()}
    return [
        replace(one, numbers={name: values[line, : len(one.ids)].clone() for name, values in kept.items()})
        for line, one in enumerate(sequences)
    ]
