"""Hidden states after the layers that a term matches."""

from typing import TYPE_CHECKING

from limbeck.core.signals.entry import LAYERS, Moment, Side, Trial, on_both_sides

if TYPE_CHECKING:
    from torch import Tensor


def _states(moment: Moment, *, side: Side) -> "Tensor":
    import torch

    taps = moment.answer(side).taps
    return torch.stack([taps["states", layer] for layer in moment.matched(side)], dim=1)


def _tried(trial: Trial, *, side: Side) -> "Tensor":
    return trial.numbers(trial.rows, trial.layers, trial.tokens, trial.width(side))


SIGNALS = on_both_sides(
    "states",
    "[B, M, T, D] hidden states of the {side} after its matched layers",
    _states,
    _tried,
    tap="states",
    site=LAYERS,
    tokens="same",
)
