"""What comes with the batch: labels, numbers of single tokens, phrases, where padding is."""

from typing import TYPE_CHECKING

from limbeck.core.signals.entry import Moment, Signal, Trial

if TYPE_CHECKING:
    from torch import Tensor


def _labels(moment: Moment) -> "Tensor":
    targets = moment.batch.targets
    assert targets is not None, "rows of terms on labels have targets"
    return moment.at_chosen(targets).clamp_min(0)  # what is not in the loss has no weight in the mean


def _number(name: str, about: str) -> Signal:
    """One number for each target, put into the batch when it was prepared (`limbeck.rollouts.score`)."""

    def take(moment: Moment) -> "Tensor":
        return moment.at_chosen(moment.batch.signals[name])

    def tried(trial: Trial) -> "Tensor":
        return trial.numbers(*trial.units)

    return Signal(name, about, take, tried, pointwise=True, in_packs=True)


NUMBERS = (
    _number("advantages", "[...] how much better than expected the sampled token is; a constant"),
    _number(
        "sampled_log_probs", "[...] log-probability of the label under the policy that wrote it; a constant"
    ),
)

SIGNALS = (
    Signal(
        "labels",
        "[...] the id each position must predict; never the ignored value",
        _labels,
        lambda trial: trial.ids(*trial.units),
        pointwise=True,
        in_packs=True,
    ),
    *NUMBERS,
    Signal(
        "spans",
        "[B, T] number of the phrase that each target belongs to, below 0 outside of phrases",
        lambda moment: moment.batch.signals["spans"],
        lambda trial: trial.ids(trial.rows, trial.tokens) // 2,
        tokens="same",
    ),
    Signal(
        "attention_mask",
        "[B, T] 1 at tokens, 0 at padding",
        lambda moment: moment.batch.attention_mask,
        lambda trial: trial.ids(trial.rows, trial.tokens).fill_(1),
    ),
)
