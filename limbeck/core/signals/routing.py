"""Which experts the routers of the student choose for each token, and how often in the whole step."""

from typing import TYPE_CHECKING, NamedTuple

from limbeck.core.signals.entry import Signal, Trial, of_model

if TYPE_CHECKING:
    from torch import Tensor

    from limbeck.core.batch import Batch
    from limbeck.core.outputs import Outputs


class Routing(NamedTuple):
    """What the routers of a mixture of experts say of each token.

    Attributes:
        logits: [B, T, M, E] of the M layers that have a router.
        chosen: [B, T, M, K] the experts that each of them sends the token to.
    """

    logits: "Tensor"
    chosen: "Tensor"


def routed_tokens(routing: Routing, read: "Tensor") -> "Tensor":
    """How many tokens each expert is chosen for, a mean over layers: [E], in double precision.

    Args:
        routing: of a batch.
        read: [B, T] true at tokens, false at padding.
    """
    layers, experts = routing.logits.shape[-2:]
    chosen = routing.chosen[read].flatten()
    return chosen.bincount(minlength=experts).double() / layers


def _routed(student: "Outputs", batch: "Batch") -> "Tensor":
    return routed_tokens(student.taps["routing", None], batch.attention_mask.bool())


def _tried(trial: Trial) -> Routing:
    logits = trial.numbers(trial.rows, trial.tokens, trial.layers, trial.classes)
    return Routing(logits, logits.topk(2).indices)


_ASKS = of_model("student", "routing")

SIGNALS = (
    Signal(
        "student_routing",
        "Routing: the experts that the student's routers choose for each token",
        lambda moment: moment.student.taps["routing", None],
        _tried,
        side="student",
        asks=_ASKS,
    ),
    Signal(
        "routed_shares",
        "[E] how often each expert is chosen for a token of the optimizer step; a constant",
        lambda moment: (moment.sums["routed_shares"] / moment.tokens).float(),
        lambda trial: trial.numbers(trial.classes).abs(),
        asks=_ASKS,
        summed=_routed,
    ),
)
