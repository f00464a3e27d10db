"""Queries, keys and values of the attention layer that a term matches."""

from typing import TYPE_CHECKING, NamedTuple

from limbeck.core.signals.entry import LAYERS, Moment, Side, Trial, on_both_sides

if TYPE_CHECKING:
    from torch import Tensor


class QKV(NamedTuple):
    """Queries, keys and values of one attention layer before the split into heads, each [B, T, D]."""

    queries: "Tensor"
    keys: "Tensor"
    values: "Tensor"


def _qkv(moment: Moment, *, side: Side) -> QKV:
    found: QKV = moment.answer(side).taps["qkv", moment.matched(side)[0]]
    return found


def _tried(trial: Trial, *, side: Side) -> QKV:
    return QKV(*(trial.numbers(trial.rows, trial.tokens, trial.width(side)) for _ in range(3)))


SIGNALS = on_both_sides(
    "qkv",
    "QKV: queries, keys and values of one attention layer of the {side}, each [B, T, D]",
    _qkv,
    _tried,
    tap="qkv",
    site=LAYERS,
    tokens="same",
)
