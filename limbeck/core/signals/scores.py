"""Attention scores before the softmax, of the layers that a term matches."""

from typing import TYPE_CHECKING

from limbeck.core.signals.entry import LAYERS, Moment, Side, Trial, on_both_sides

if TYPE_CHECKING:
    from torch import Tensor

_HEADS = 2  # of the values that objectives are tried on


def _scores(moment: Moment, *, side: Side) -> "Tensor":
    import torch

    taps = moment.answer(side).taps
    return torch.stack([taps["scores", layer] for layer in moment.matched(side)], dim=1)


def _tried(trial: Trial, *, side: Side) -> "Tensor":
    return trial.numbers(trial.rows, trial.layers, _HEADS, trial.tokens, trial.tokens)


SIGNALS = on_both_sides(
    "scores",
    "[B, M, H, T, T] scores of the {side}'s matched attention layers before the softmax, -inf where masked",
    _scores,
    _tried,
    tap="scores",
    site=LAYERS,
    tokens="same",
)
