"""Log-probabilities of whole answers, two and two: of the chosen one, and of the rejected one."""

from functools import partial
from typing import TYPE_CHECKING

from limbeck.core.errors import ConfigError
from limbeck.core.signals.entry import Moment, Side, Trial, on_both_sides

if TYPE_CHECKING:
    from torch import Tensor


def _pairs(mean: bool, moment: Moment, *, side: Side) -> "Tensor":
    from limbeck.core.pair_log_probs import pair_log_probs
    from limbeck.core.target_log_probs import target_log_probs

    log_probs, loss_mask = target_log_probs(moment.answer(side), moment.batch), moment.batch.loss_mask
    assert loss_mask is not None, "log-probabilities are of targets"
    return pair_log_probs(log_probs, loss_mask, mean=mean)


def _tried(trial: Trial, *, side: Side) -> "Tensor":
    if side == "teacher" and trial.stored:
        raise ConfigError(
            "a reference must be a model, or a store of its hidden states, got a top-k store, in which an "
            "answer's own tokens may be missing. Capture with payload: {hidden: {dtype: float32}}."
        )
    return -trial.numbers(trial.rows, 2).abs()


SIGNALS = (
    *on_both_sides(
        "pairs",
        "[P, 2] summed log-probability that the {side} gives the chosen and the rejected answer of each pair",
        partial(_pairs, False),
        _tried,
        tap="distribution",
        tokens="same",
    ),
    *on_both_sides(
        "mean_pairs",
        "[P, 2] mean log-probability that the {side} gives a token of the chosen and of the rejected answer",
        partial(_pairs, True),
        _tried,
        tap="distribution",
        tokens="same",
    ),
)
