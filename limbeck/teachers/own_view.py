"""A teacher with the student's token ids that reads the rows in its own chat format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.core.batch import Batch, Source
from limbeck.core.errors import ConfigError
from limbeck.core.masks import next_token_targets
from limbeck.core.needs import DISTRIBUTION, Needs
from limbeck.core.outputs import Outputs
from limbeck.core.signals import Head, MixedHead, TopK
from limbeck.signals.rows import rows_of
from limbeck.teachers.frames import Frame, places_of
from limbeck.teachers.protocol import Teacher

_NOBODY = -1


@dataclass(frozen=True)
class ViewedRows:
    """The student's rows in the teacher's format.

    Attributes:
        source: one row an entry.
        answering: id of a row -> for each target of the student in order, [n] the entry and [n] the rank of
            the teacher's target that answers it; -1 where none does.
    """

    source: Source
    answering: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]]

    @property
    def unanswered(self) -> int:
        """Targets of the student that nothing of the teacher answers."""
        return sum(int((entries < 0).sum()) for entries, _ in self.answering.values())

    def like(self, batch: Batch) -> tuple[Batch, Tensor]:
        """What the teacher reads for the student's batch, and [B, T] which place of it answers; -1: none."""
        found = [self.answering[row.id] for row in rows_of(batch)]
        entries, ranks = (np.concatenate(parts) for parts in zip(*found, strict=True))
        read = np.unique(entries[entries >= 0])
        if not len(read):
            read = np.zeros(1, dtype=np.int64)  # a batch without an answer still has a shape
        lines = np.where(entries >= 0, np.searchsorted(read, entries), _NOBODY)
        own = self.source.batch(read.tolist()).to(batch.device)
        return own, _places(batch, own, torch.from_numpy(lines), torch.from_numpy(ranks))


@dataclass(frozen=True)
class PromptedRows:
    """What was written for the student's rows, behind prompts in the teacher's format.

    Attributes:
        prompts: id of a row -> the tokens before its answer.
        ends: token of the student -> the teacher's in its place, and the other way round.
        pad: id of padding.
    """

    prompts: Mapping[str, NDArray[np.int64]]
    ends: Mapping[int, int]
    pad: int

    @property
    def unanswered(self) -> int:
        """Every token of an answer is the same token for the teacher."""
        return 0

    def like(self, batch: Batch) -> tuple[Batch, Tensor]:
        """The rows of the student's batch, one a line, and [B, T] which place of them answers; -1: none."""
        assert batch.targets is not None and batch.loss_mask is not None
        loss_mask = batch.loss_mask.cpu().numpy()
        targets = batch.targets.cpu().numpy()
        names, answers = [], []
        for row in rows_of(batch):
            here = (row.line, slice(row.start, row.stop))
            answer = targets[here][loss_mask[here]]
            for ours, theirs in self.ends.items():
                answer = np.where(answer == ours, theirs, np.where(answer == theirs, ours, answer))
            names.append(row.id)
            answers.append(answer)
        prompts = [self.prompts[name] for name in names]
        own = _answered(names, list(zip(prompts, answers, strict=True)), self.pad).to(batch.device)
        lines = np.repeat(np.arange(len(answers)), [len(answer) for answer in answers])
        ranks = np.concatenate([np.arange(len(answer)) for answer in answers])
        return own, _places(batch, own, torch.from_numpy(lines), torch.from_numpy(ranks))


def _answered(
    names: Sequence[str], lines: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], pad: int
) -> Batch:
    """A padded batch of prompts with their answers, of which all is learnt."""
    shape = (len(lines), max(len(prompt) + len(answer) for prompt, answer in lines))
    ids, is_target = np.full(shape, pad, dtype=np.int64), np.zeros(shape, dtype=np.bool_)
    numbers = np.full(shape, _NOBODY, dtype=np.int64)
    for line, (prompt, answer) in enumerate(lines):
        start, stop = len(prompt), len(prompt) + len(answer)
        ids[line, :start], ids[line, start:stop] = prompt, answer
        is_target[line, start:stop], numbers[line, :stop] = True, line
    return Batch(
        inputs={"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy((numbers >= 0) * 1)},
        targets=torch.from_numpy(next_token_targets(ids, is_target, numbers)),
        row_ids=[[name] for name in names],
    )


class OwnViewTeacher:
    """Asks a teacher about the rows in its own format, and gives its answers at the student's positions.

    Args:
        teacher: any that answers batches: a model, a store.
        rows: what it reads.
        ends: token of the student -> the teacher's that stands in its place; in what the teacher says,
            the two are swapped.
        vocabulary: token ids that both share.
    """

    def __init__(
        self, teacher: Teacher, rows: ViewedRows | PromptedRows, *, ends: Mapping[int, int], vocabulary: int
    ) -> None:
        self.teacher, self.rows = teacher, rows
        self.ends = ends
        self.ids = _swapped(ends, vocabulary) if ends else None
        self._heads: dict[tuple[int, torch.device], Head] = {}

    def answers(self, batch: Batch) -> Tensor:
        """[B, T] True at the targets that it answers."""
        return self.rows.like(batch)[1] >= 0

    def answer(self, batch: Batch, needs: Needs) -> Outputs:
        """The distribution at every target that is answered; of no use at other positions.

        Raises:
            ConfigError: something else than a distribution is needed.
        """
        if needs - DISTRIBUTION:
            raise ConfigError(
                "a teacher that reads its own chat format must be asked for its distribution alone, got "
                "inner layers. Set teacher.view: student, so that it reads the student's format."
            )
        own, partner = self.rows.like(batch)
        return self._at(self.teacher.answer(own, needs), partner.clamp_min(0))

    def to(self, device: torch.device | str) -> Self:
        """Move the teacher to a device; returns itself."""
        self.teacher.to(device)
        self.ids = None if self.ids is None else self.ids.to(device)
        return self

    def _at(self, answer: Outputs, partner: Tensor) -> Outputs:
        """An answer [B', T', ...] taken at `partner` [B, T], with the tokens of the student."""

        def taken(values: Tensor) -> Tensor:
            return values.flatten(0, 1)[partner]

        if answer.topk is not None:
            return Outputs(topk=self._renamed(answer.topk.each(taken)))
        if answer.hidden is not None and answer.head is not None:
            return Outputs(hidden=taken(answer.hidden), head=self._mixed(answer.head))
        if answer.logits is None:
            return Outputs()
        logits = taken(answer.logits)
        return Outputs(logits=logits if self.ids is None else logits[..., self.ids])

    def _mixed(self, head: Head | MixedHead) -> Head | MixedHead:
        if self.ids is None:
            return head
        if isinstance(head, MixedHead):
            return replace(head, heads=tuple(self._swapped_head(one) for one in head.heads))
        return self._swapped_head(head)

    def _swapped_head(self, head: Head) -> Head:
        """The head with two of its rows swapped; made once, because it is as large as the head."""
        assert self.ids is not None
        key = (head.weight.data_ptr(), head.weight.device)
        if key not in self._heads:
            ids = self.ids.to(head.weight.device)
            bias = None if head.bias is None else head.bias.detach()[ids]
            self._heads[key] = replace(head, weight=head.weight.detach()[ids], bias=bias)
        return self._heads[key]

    def _renamed(self, topk: TopK) -> TopK:
        """Stored ids in the student's tokens: a swap is its own inverse."""

        def named(found: Tensor) -> Tensor:
            renamed = found.clone()
            for ours, theirs in self.ends.items():
                renamed[found == ours], renamed[found == theirs] = theirs, ours
            return renamed

        drawn = None if topk.drawn_ids is None else named(topk.drawn_ids)
        return topk._replace(ids=named(topk.ids), drawn_ids=drawn)


def _swapped(ends: Mapping[int, int], vocabulary: int) -> Tensor:
    """[V] the teacher's id for each of the student's: the same, but for pairs that change places."""
    ids = torch.arange(vocabulary)
    for ours, theirs in ends.items():
        if int(ids[ours]) == ours and int(ids[theirs]) == theirs:
            ids[ours], ids[theirs] = theirs, ours
    return ids


def _places(batch: Batch, own: Batch, lines: Tensor, ranks: Tensor) -> Tensor:
    """[B, T] place in the teacher's flattened batch for each target of the student; -1: none.

    Args:
        batch: of the student.
        own: what the teacher reads, a row a line.
        lines: for each target of the student, in order, the line that answers it; -1: none.
        ranks: which of the targets of that line it is.
    """
    assert batch.loss_mask is not None
    stride = 1 + own.inputs["input_ids"].shape[1]
    loss_mask = batch.loss_mask.flatten()
    wanted = torch.full(loss_mask.shape, _NOBODY, device=batch.device)
    wanted[loss_mask] = (lines * stride + ranks).where(lines >= 0, _NOBODY).to(batch.device)
    return places_of(Frame.of(own).order_keys(stride), wanted).view(batch.loss_mask.shape)
