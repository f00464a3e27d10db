"""Which teacher answers which row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.examples import data_row
from limbeck.core.forward_model import project
from limbeck.core.outputs import Outputs
from limbeck.core.signals import TopK

_CHUNK = 2**21  # logits held at a time, 8 MB


@dataclass(frozen=True)
class ByColumn:
    """Every row names its teacher.

    Attributes:
        column: of the rows, for messages.
        members: id of a row -> name of the member.
    """

    column: str
    members: Mapping[str, str]

    def asked(self, batch: Batch, names: Sequence[str]) -> list[Tensor]:
        """For each member where it answers, like the batch's targets.

        Raises:
            ConfigError: a row names nobody, or somebody else.
        """
        chosen = [names.index(self._name(one, names)) for row in batch.row_ids for one in row]
        return _one_hot(torch.tensor(chosen, device=batch.device), batch, len(names))

    def _name(self, row_id: str, names: Sequence[str]) -> str:
        name = self.members.get(data_row(row_id, self.members))
        if name is None or name not in names:
            raise ConfigError(
                f"{self.column} must name a teacher with a weight ({', '.join(names)}), got "
                f"{name or 'nothing'} in row {row_id}."
            )
        return name


@dataclass(frozen=True)
class ByLikelihood:
    """Each row goes to the teacher to which its tokens in the loss are likeliest, by the mean over them.

    All teachers read all rows. Of two that are equally sure the first answers.
    """

    def chosen(self, batch: Batch, found: Sequence[Outputs]) -> list[Tensor]:
        """For each member where it answers, from what all have said at temperature 1."""
        means = torch.stack([mean_log_likelihoods(one, batch) for one in found])
        return _one_hot(means.argmax(0), batch, len(found))


Route = ByColumn | ByLikelihood
"""How rows find their teacher."""


def mean_log_likelihoods(answer: Outputs, batch: Batch) -> Tensor:
    """[S] mean natural log-probability of the tokens in the loss of each data row; 0 where none is learnt.

    Raises:
        ConfigError: a top-k store does not know the likelihood of every token.
    """
    loss_mask, targets = batch.loss_mask, batch.targets
    if answer.topk is not None or loss_mask is None or targets is None:
        raise ConfigError(
            "route by likelihood must ask models or stores of hidden states about rows with targets, got a "
            "top-k store or rows without. Route by a column."
        )
    source = answer.logits if answer.hidden is None else answer.hidden
    assert source is not None
    rows, labels, head = source[loss_mask], targets[loss_mask], answer.head
    size = max(1, _CHUNK // (rows.shape[-1] if head is None else head.vocabulary))
    values = [
        _label_log_probs((part if head is None else project(part, head)).float(), wanted)
        for part, wanted in zip(rows.split(size), labels.split(size), strict=True)
    ]
    sequences, count = rows_by_unit(batch), sum(map(len, batch.row_ids))
    total = torch.zeros(count, device=rows.device).index_add_(0, sequences[loss_mask], torch.cat(values))
    return total / torch.bincount(sequences[loss_mask], minlength=count).clamp_min(1)


def only_rows(batch: Batch, rows: Tensor) -> Batch:
    """Some rows of a batch."""
    return replace(
        batch,
        inputs={name: values[rows] for name, values in batch.inputs.items()},
        targets=None if batch.targets is None else batch.targets[rows],
        groups=None if batch.groups is None else batch.groups[rows],
        signals={name: values[rows] for name, values in batch.signals.items()},
        row_ids=[batch.row_ids[row] for row in rows.tolist()],
    )


def spread(answer: Outputs, rows: Tensor, count: int) -> Outputs:
    """An answer about some rows as one about `count` rows; nothing of use at the others, no drawn ids."""

    def over(values: Tensor, fill: float = 0) -> Tensor:
        whole = values.new_full((count, *values.shape[1:]), fill)
        whole[rows] = values
        return whole

    changed: dict[str, Any] = {
        name: over(values)
        for name, values in (("hidden", answer.hidden), ("logits", answer.logits))
        if values is not None
    }
    if answer.topk is not None:
        ids, log_probs, log_tail = (answer.topk.ids, answer.topk.log_probs, answer.topk.log_tail)
        changed["topk"] = TopK(over(ids, -1), over(log_probs, -torch.inf), over(log_tail))
    return replace(answer, **changed)


def _one_hot(chosen: Tensor, batch: Batch, count: int) -> list[Tensor]:
    """[S] number of the member of each data row -> of each member, where it answers."""
    of_unit = chosen[rows_by_unit(batch)]
    return [of_unit == place for place in range(count)]


def rows_by_unit(batch: Batch) -> Tensor:
    """Like the targets: the number of the data row of each unit; of a pack's padding, its last row's."""
    assert batch.targets is not None
    counts = torch.tensor([len(names) for names in batch.row_ids], device=batch.device)
    first = counts.cumsum(0) - counts
    positions = batch.inputs.get("position_ids")
    if batch.per_row or positions is None or "attention_mask" in batch.inputs:
        return first.view(-1, *[1] * (batch.targets.dim() - 1)).expand(batch.targets.shape)
    inside = (positions == 0).cumsum(-1) - 1
    return first[:, None] + inside.minimum(counts[:, None] - 1)


def _label_log_probs(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
