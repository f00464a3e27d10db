"""Scores over a vocabulary or over classes: of all ids, or of the likeliest alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from limbeck.core.errors import ConfigError
from limbeck.core.signals.entry import Moment, Side, Signal, Trial, of_model, on_both_sides

if TYPE_CHECKING:
    from torch import Tensor


class TopK(NamedTuple):
    """The stored form of a teacher distribution: K outcomes and a bucket for all others.

    Attributes:
        ids: [..., K] token ids, all different within a position; -1 at the places that a position
            with fewer than K ids leaves empty.
        log_probs: [..., K] natural log-probabilities under the teacher at temperature 1; -inf at empty
            places.
        log_tail: [...] natural log of the probability outside `ids`; -inf when there is none.
        drawn_ids: [..., S] ids drawn from outside `ids`, each in proportion to its probability, all
            different; each stands for an equal share of the tail. -1 at empty places; a position may
            have none. None: nothing was drawn anywhere.
        drawn_log_probs: [..., S] their natural log-probabilities; -inf at empty places.
    """

    ids: "Tensor"
    log_probs: "Tensor"
    log_tail: "Tensor"
    drawn_ids: "Tensor | None" = None
    drawn_log_probs: "Tensor | None" = None

    def each(self, change: "Callable[[Tensor], Tensor]") -> "TopK":
        """With every tensor changed alike: some of the rows, or another device."""
        ids, log_probs, log_tail = (change(part) for part in self[:3])
        if self.drawn_ids is None or self.drawn_log_probs is None:
            return TopK(ids, log_probs, log_tail)
        return TopK(ids, log_probs, log_tail, change(self.drawn_ids), change(self.drawn_log_probs))


@dataclass(frozen=True)
class Head:
    """A linear vocabulary head: logits = cap(scale * (hidden @ weight.T + bias)).

    Attributes:
        weight: [V, H]; rows beyond the shared vocabulary are already cut off.
        bias: [V] or None.
        scale: factor on the projected values (Cohere's logit scale, Granite's 1 / logits_scaling).
        softcap: c of cap(x) = c * tanh(x / c) (Gemma), or None.
    """

    weight: "Tensor"
    bias: "Tensor | None" = None
    scale: float = 1.0
    softcap: float | None = None

    @property
    def width(self) -> int:
        """Columns of the hidden states it reads."""
        return int(self.weight.shape[1])

    @property
    def vocabulary(self) -> int:
        """Ids it scores."""
        return int(self.weight.shape[0])


@dataclass(frozen=True)
class MixedHead:
    """The heads of several teachers, mixed where the vocabulary is projected.

    It reads their hidden states side by side, and behind them one column a head: 1 where that
    teacher answers, 0 where it does not. The weights are normalised over those that answer.

    Attributes:
        heads: over the same vocabulary.
        weights: of the heads, above 0.
        temperatures: that divide their logits.
        mean: of the probabilities, log sum_i w_i softmax(z_i / T_i); or of the logits, sum_i w_i z_i / T_i.
    """

    heads: tuple[Head, ...]
    weights: tuple[float, ...]
    temperatures: tuple[float, ...]
    mean: Literal["probabilities", "logits"]

    @property
    def width(self) -> int:
        """Columns of what it reads, those that say who answers among them."""
        return sum(head.width for head in self.heads) + len(self.heads)

    @property
    def vocabulary(self) -> int:
        """Ids it scores."""
        return self.heads[0].vocabulary


def _scores(moment: Moment, *, side: Side) -> Any:
    """A stored distribution as it is, [..., V] or [B, C] of others; the vocabulary is projected here."""
    from limbeck.core.forward_model import project

    answer = moment.answer(side)
    if answer.topk is not None:
        return answer.topk.each(moment.at_chosen)
    if answer.logits is not None:
        return moment.at_chosen(answer.logits)
    assert answer.hidden is not None and answer.head is not None, "a distribution was asked for"
    if moment.chosen is not None:
        return project(answer.hidden[moment.chosen], answer.head)
    return project(answer.hidden.flatten(0, 1), answer.head).view(*answer.hidden.shape[:2], -1)


def _tried(trial: Trial, *, side: Side) -> Any:
    if side == "teacher" and trial.stored:
        return _tried_topk(trial)
    return trial.numbers(*trial.units, trial.classes)


def _topk(moment: Moment) -> TopK:
    topk = moment.answer("teacher").topk
    if topk is None:
        raise ConfigError(_NOT_STORED)
    return topk.each(moment.at_chosen)


def _tried_topk(trial: Trial) -> TopK:
    """Two ids with a quarter of the mass each."""
    import torch

    if not trial.stored:
        raise ConfigError(_NOT_STORED)
    ids, log_probs = trial.ids(2).expand(*trial.units, 2), torch.full((*trial.units, 2), 0.25).log()
    return TopK(ids, log_probs, torch.full(trial.units, 0.5).log())


_NOT_STORED = (
    "teacher_topk must come from a top-k store, got a teacher that gives all scores. "
    "Capture the teacher first, or take an objective on teacher_logits."
)
SIGNALS = (
    *on_both_sides(
        "logits",
        "[..., V] scores of the {side} over the shared vocabulary, or [B, C] over classes",
        _scores,
        _tried,
        tap="distribution",
        pointwise=True,
        in_packs=True,
    ),
    Signal(
        "teacher_topk",
        "TopK: the teacher's K likeliest ids, their log-probabilities, the log mass of the rest, "
        "maybe ids drawn from the rest",
        _topk,
        _tried_topk,
        side="teacher",
        asks=of_model("teacher", "distribution"),
        pointwise=True,
        in_packs=True,
        tokens="same",
    ),
    Signal(
        "teacher_own_logits",
        "[..., V'] scores of a teacher over a vocabulary of its own",
        lambda moment: _scores(moment, side="teacher"),
        lambda trial: trial.numbers(*trial.units, trial.classes + 2),
        side="teacher",
        asks=of_model("teacher", "distribution"),
        pointwise=True,
        in_packs=True,
        tokens="own",
    ),
)
