"""A teacher with another tokenizer: it reads the text in its own tokens, and answers at the student's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from limbeck.core.batch import Batch, Source
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import DISTRIBUTION, NOTHING, Needs, Site, at
from limbeck.core.outputs import Outputs
from limbeck.core.signals import ANSWERED, Head
from limbeck.core.signals.space import head_space_of
from limbeck.signals.rows import rows_of
from limbeck.teachers.chunks import ChunkRules, chunks_of
from limbeck.teachers.frames import Frame
from limbeck.teachers.partners import Pairing, partners

_UNLIKELY = -1e4  # a score without mass, finite so that closed forms stay finite


@dataclass(frozen=True)
class CrossTokenizerRows:
    """The rows in the teacher's tokens.

    Attributes:
        source: one row an entry, with the signal `chunks`.
        places: id of a row -> its entry.
    """

    source: Source
    places: Mapping[str, int]

    def like(self, batch: Batch) -> Batch:
        """The rows of the student's batch, in order, one a line."""
        entries = [self.places[row.id] for row in rows_of(batch)]
        return self.source.batch(entries).to(batch.device)


class CrossTokenizerTeacher:
    """A frozen model that answers batches of a student with another tokenizer.

    Args:
        model: a transformers model; frozen and put in eval mode.
        rows: what it reads: the text of the student's rows.
        vocabulary: token ids of its tokenizer; columns of its head beyond them are cut off.
        rules: how chunks of text are counted.
        pairing: which position of the teacher answers a position of the student.
        ids: [V] for each id of the student, the teacher's id whose score stands for it; None leaves
            scores over the teacher's own vocabulary. A negative one has no likely counterpart.
    """

    def __init__(
        self,
        model: nn.Module,
        rows: CrossTokenizerRows,
        *,
        vocabulary: int,
        rules: ChunkRules,
        pairing: Pairing = "chunks",
        ids: Tensor | None = None,
    ) -> None:
        self.model = model.requires_grad_(False).eval()
        self.reader = ForwardModel(model, vocabulary).probe()
        self.rows, self.rules, self.pairing, self.ids = rows, rules, pairing, ids
        self._head: Head | None = None

    def prepare(self, batch: Batch) -> Batch:
        """The batch with its targets in the groups `core.signals.ANSWERED`."""
        partner = self._partners(batch)
        assert batch.targets is not None and batch.loss_mask is not None
        groups = (partner >= 0).long().where(batch.loss_mask, batch.targets)
        return replace(batch, groups=groups, group_names=ANSWERED)

    def answer(self, batch: Batch, needs: Needs) -> Outputs:
        """What `needs` asks for, at the student's positions.

        A distribution is that of the partner position, and of no use where there is none; states are
        those of chunks.
        """
        self.model.eval()
        own = self.rows.like(batch)
        of_chunks = needs & at("chunks")
        asked = needs - of_chunks | (DISTRIBUTION if of_chunks else NOTHING)
        with torch.no_grad():
            answer = self.reader.read(own.inputs, asked)
            student, teacher = Frame.of(batch), Frame.of(own)
            outputs = Outputs()
            if needs & DISTRIBUTION:
                partner = partners(student, teacher, self.pairing).clamp_min(0)
                outputs = self._at(answer, partner)
            across: dict[tuple[str, Site], Callable[[], Any]] = {
                ("chunks", None): lambda: chunks_of(answer, student, teacher, self.rules),
                ("space", None): lambda: head_space_of(answer, own),
            }
            return replace(outputs, taps={key: read() for key, read in across.items() if key in needs})

    def to(self, device: torch.device | str) -> Self:
        """Move the model to a device; returns itself."""
        self.model.to(device)
        self.rules = self.rules.to(device)
        self.ids = None if self.ids is None else self.ids.to(device)
        return self

    def _partners(self, batch: Batch) -> Tensor:
        return partners(Frame.of(batch), Frame.of(self.rows.like(batch)), self.pairing)

    def _at(self, answer: Outputs, partner: Tensor) -> Outputs:
        """The distributions at the partner positions [B, T], over the student's ids if there is a map."""
        if answer.hidden is None or answer.head is None:
            assert answer.logits is not None
            logits = answer.logits.flatten(0, 1)[partner]
            return Outputs(logits=logits if self.ids is None else self._renamed(logits))
        assert isinstance(answer.head, Head), "of one model"
        return Outputs(hidden=answer.hidden.flatten(0, 1)[partner], head=self._mapped(answer.head))

    def _mapped(self, head: Head) -> Head:
        if self.ids is None:
            return head
        if self._head is None:  # as large as the student's head: gathered once
            bias = head.weight.new_zeros(len(head.weight)) if head.bias is None else head.bias
            self._head = replace(
                head,
                weight=head.weight[self.ids.clamp_min(0)],
                bias=self._renamed(bias).to(head.weight.dtype),
            )
        return self._head

    def _renamed(self, scores: Tensor) -> Tensor:
        """Scores [..., V'] of the teacher's ids as those [..., V] of the student's."""
        assert self.ids is not None
        return scores[..., self.ids.clamp_min(0)].masked_fill(self.ids < 0, _UNLIKELY)
