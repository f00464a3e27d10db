"""What a model's head reads and writes, on the tokens of that model."""

from typing import TYPE_CHECKING, NamedTuple

from limbeck.core.errors import ConfigError
from limbeck.core.signals.distribution import Head
from limbeck.core.signals.entry import Moment, Side, Trial, on_both_sides

if TYPE_CHECKING:
    from torch import Tensor

    from limbeck.core.batch import Batch
    from limbeck.core.outputs import Outputs


class HeadSpace(NamedTuple):
    """What a model's head reads and writes, on the tokens of that model.

    Attributes:
        hidden: [B, T, H] what the head reads.
        inputs: [B, T, D] embeddings of the tokens that were read.
        outputs: [B, T, D] embeddings of the tokens to predict; zeros where nothing is learnt.
        labels: [B, T] ids to predict; `core.masks.IGNORE` where nothing is learnt.
        head: from hidden states to scores.
    """

    hidden: "Tensor"
    inputs: "Tensor"
    outputs: "Tensor"
    labels: "Tensor"
    head: Head


def head_space_of(answer: "Outputs", batch: "Batch") -> HeadSpace:
    """The space of a model that was asked for the tap `space`; the one it made already, if any.

    Args:
        answer: of that model.
        batch: that it read, in its own tokens, with targets.

    Raises:
        ConfigError: the answer comes from no model (a store, several teachers), or the batch has no targets.
    """
    from limbeck.core.masks import IGNORE

    found = answer.taps.get(("space", None))
    if isinstance(found, HeadSpace):
        return found
    if found is None:
        raise ConfigError(
            "a space must be made of hidden states, a head and embeddings, got an answer without. "
            "Train with a model as the teacher, without noise."
        )
    if batch.targets is None or not batch.per_token:
        raise ConfigError("a space must have a token to predict at each position, got rows without targets.")
    in_loss = batch.targets != IGNORE
    read = batch.inputs.get("decoder_input_ids", batch.inputs["input_ids"])
    targets = found.embed(batch.targets.masked_fill(~in_loss, 0)) * in_loss[..., None]
    return HeadSpace(found.hidden, found.embed(read), targets, batch.targets, found.head)


def _space(moment: Moment, *, side: Side) -> HeadSpace:
    return head_space_of(moment.answer(side), moment.batch)


def _tried(trial: Trial, *, side: Side) -> HeadSpace:
    width = trial.width(side)
    hidden, read, predicted = (trial.numbers(trial.rows, trial.tokens, width) for _ in range(3))
    labels, head = trial.ids(trial.rows, trial.tokens), Head(trial.numbers(trial.classes, width))
    return HeadSpace(hidden, read, predicted, labels, head)


SIGNALS = on_both_sides(
    "space",
    "HeadSpace: what the {side}'s head reads and writes, on its own tokens",
    _space,
    _tried,
    tap="space",
    tokens="own",
)
