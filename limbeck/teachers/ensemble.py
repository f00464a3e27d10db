"""Several teachers as one: their probabilities, their logits, or the losses against each are averaged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor, nn

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.mixture import side_by_side
from limbeck.core.needs import DISTRIBUTION, Needs
from limbeck.core.outputs import Outputs
from limbeck.core.signals import Head, MixedHead
from limbeck.teachers.local import LocalTeacher
from limbeck.teachers.mean import mixed_logits, mixed_topk, normalised, softened
from limbeck.teachers.protocol import Teacher
from limbeck.teachers.routing import ByColumn, ByLikelihood, Route, only_rows, spread

Mean = Literal["probabilities", "logits", "losses"]


@dataclass(frozen=True)
class Member:
    """One teacher of an ensemble.

    Attributes:
        teacher: who answers.
        name: what a route calls it.
        weight: above or equal to 0; normalised over the members that answer a unit.
        temperature: divides its logits; 1 with a top-k store.
        on: answers the units of this group of the batch alone; None: all.
    """

    teacher: Teacher
    name: str
    weight: float = 1.0
    temperature: float = 1.0
    on: str | None = None


class EnsembleTeacher:
    """Answers batches with a mean over its members; the answer has one of the forms of a single teacher.

    - "probabilities": log sum_i w_i softmax(z_i / T_i), from hidden states as `core.signals.MixedHead`,
      the vocabulary being projected where it is read; from top-k stores with their ids united.
    - "logits": sum_i w_i z_i / T_i, one linear head over the hidden states side by side where heads are
      linear and everyone answers every unit.
    - "losses": the members themselves, `Outputs.members`; each objective is averaged over them.

    A member without weight, and one that no row of a batch is for, is not asked.

    Args:
        members: with the same token ids, at least one of them with a weight.
        mean: what is averaged.
        route: sends each row to one member; weights are then of no account.

    Raises:
        ConfigError: no member has a weight.

    Source:
        Hinton et al. 2015, arXiv:1503.02531, section 1, name an arithmetic mean of predictions and a
        geometric one (of logits) as targets. Means of losses, weighted: You et al. 2017 (KDD), Fukuda et
        al. 2017 (Interspeech), who also draw one teacher a batch, which is a route here.
    """

    def __init__(
        self, members: Sequence[Member], *, mean: Mean = "probabilities", route: Route | None = None
    ) -> None:
        self.members = tuple(member for member in members if member.weight > 0)
        if not self.members:
            raise ConfigError(
                f"ensemble must have a member with a weight above 0, got {len(members)} without."
            )
        self.mean: Mean = mean
        self.route = route
        self._head: tuple[tuple[int, ...], Head] | None = None

    def answer(self, batch: Batch, needs: Needs) -> Outputs:
        """The mean over the members at every position of `batch`; on the device of the batch.

        Raises:
            ConfigError: something else than a distribution is needed, or the answers cannot be mixed.
        """
        if needs - DISTRIBUTION:
            raise ConfigError(
                "an ensemble must be asked for its distribution alone, got inner layers or chunks of text. "
                "Train with a single teacher."
            )
        if not needs:
            return Outputs()
        if isinstance(self.route, ByLikelihood):
            found = [member.teacher.answer(batch, needs) for member in self.members]
            asked: list[Tensor] | None = self.route.chosen(batch, found)
        else:
            asked = self._asked(batch)
            found = [self._ask(place, batch, needs, asked) for place in range(len(self.members))]
        present = [place for place in range(len(self.members)) if asked is None or bool(asked[place].any())]
        if not present:  # nobody is for any unit here, so no term reads what is said
            return self.members[0].teacher.answer(batch, needs)
        return self._together(
            [self.members[place] for place in present],
            [found[place] for place in present],
            None if asked is None else [asked[place] for place in present],
        )

    def to(self, device: torch.device | str) -> Self:
        """Move all members to a device; returns itself."""
        for member in self.members:
            member.teacher.to(device)
        return self

    def _asked(self, batch: Batch) -> list[Tensor] | None:
        """For each member where it answers, [B, T] or [B]; None when all answer everything."""
        if isinstance(self.route, ByColumn):
            return self.route.asked(batch, [member.name for member in self.members])
        if all(member.on is None for member in self.members):
            return None
        if batch.groups is None:
            raise ConfigError(
                "members with `on` must have rows of several tasks, got rows of one. Leave `on` out."
            )
        names = batch.group_names
        return [
            torch.ones_like(batch.groups, dtype=torch.bool)
            if member.on is None
            else batch.groups == (names.index(member.on) if member.on in names else -1)
            for member in self.members
        ]

    def _ask(self, place: int, batch: Batch, needs: Needs, asked: list[Tensor] | None) -> Outputs:
        """A member's answer; it reads only the rows of the batch that it is for."""
        teacher = self.members[place].teacher
        if asked is None:
            return teacher.answer(batch, needs)
        rows = asked[place].reshape(batch.rows, -1).any(-1).nonzero().squeeze(-1)
        if rows.numel() == batch.rows:
            return teacher.answer(batch, needs)
        if not rows.numel():
            return Outputs()
        return spread(teacher.answer(only_rows(batch, rows), needs), rows, batch.rows)

    def _together(
        self, members: Sequence[Member], found: Sequence[Outputs], asked: Sequence[Tensor] | None
    ) -> Outputs:
        if self.mean == "losses":
            weights = self._weights(members, asked)
            parts = (softened(one, member.temperature) for member, one in zip(members, found, strict=True))
            return Outputs(members=tuple(zip(weights, parts, strict=True)))
        stored = [one.topk is not None for one in found]
        if any(stored):
            return self._of_stores(members, found, asked, all(stored))
        if all(one.hidden is not None for one in found):
            return self._of_states(members, found, asked)
        temperatures = [one.temperature for one in members]
        return Outputs(
            logits=mixed_logits(found, self._weights(members, asked), temperatures, mean=self.mean)
        )

    def _of_states(
        self, members: Sequence[Member], found: Sequence[Outputs], asked: Sequence[Tensor] | None
    ) -> Outputs:
        heads = tuple(one.head for one in found if isinstance(one.head, Head))
        states = [one.hidden for one in found if one.hidden is not None]
        if self.mean == "logits" and asked is None and all(head.softcap is None for head in heads):
            return Outputs(hidden=torch.cat(states, -1), head=self._one_head(members, heads))
        answers = asked or [torch.ones_like(state[..., 0], dtype=torch.bool) for state in states]
        mixed = MixedHead(
            heads,
            tuple(member.weight for member in members),
            tuple(member.temperature for member in members),
            "logits" if self.mean == "logits" else "probabilities",
        )
        return Outputs(hidden=side_by_side(states, list(answers)), head=mixed)

    def _one_head(self, members: Sequence[Member], heads: Sequence[Head]) -> Head:
        """The mean of linear heads as one, over the hidden states side by side; made once."""
        key = tuple(head.weight.data_ptr() for head in heads)
        if self._head is None or self._head[0] != key:
            total = sum(member.weight for member in members)
            factors = [
                member.weight / total * head.scale / member.temperature
                for member, head in zip(members, heads, strict=True)
            ]
            weight = torch.cat(
                [head.weight.detach() * factor for head, factor in zip(heads, factors, strict=True)], dim=1
            )
            biases = [
                head.bias.detach() * factor
                for head, factor in zip(heads, factors, strict=True)
                if head.bias is not None
            ]
            self._head = key, Head(weight, torch.stack(biases).sum(0) if biases else None)
        return self._head[1]

    def _of_stores(
        self, members: Sequence[Member], found: Sequence[Outputs], asked: Sequence[Tensor] | None, whole: bool
    ) -> Outputs:
        if self.mean == "logits" or not whole or any(member.temperature != 1 for member in members):
            raise ConfigError(
                "top-k stores must be mixed with each other, by their probabilities and at temperature 1. "
                "Take mean: losses, stores of hidden states, or models."
            )
        topks = [one.topk for one in found if one.topk is not None]
        return Outputs(topk=mixed_topk(topks, self._weights(members, asked)))

    def _weights(
        self, members: Sequence[Member], asked: Sequence[Tensor] | None
    ) -> tuple[float, ...] | tuple[Tensor, ...]:
        """Normalised over the members that answer: numbers, or one tensor like the batch's targets each."""
        weights = [member.weight for member in members]
        if asked is None:
            return tuple(weight / sum(weights) for weight in weights)
        return normalised(asked, weights)


def live_models(teacher: Teacher | None) -> list[nn.Module]:
    """The models in memory that read the student's batches: a teacher, or the members of an ensemble."""
    found = [one.teacher for one in teacher.members] if isinstance(teacher, EnsembleTeacher) else [teacher]
    return [one.model for one in found if isinstance(one, LocalTeacher)]
