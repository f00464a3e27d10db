"""Where a whole optimizer step is routed, which the loss that balances experts needs to know beforehand.

Its gradient is linear in the shares of the step's tokens that experts get, and these belong to the step,
not to a micro-batch: were each balanced for itself, the step would depend on how it is cut. So a pass over
the window counts them first, without gradients. It draws the random numbers of the pass that follows, which
therefore meets the same dropout. A step of a single micro-batch counts for itself and needs no such pass.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.outputs import Needs
from limbeck.engine.party import Learner


def routed_in_step(
    learner: Learner,
    window: Sequence[Batch],
    autocast: Callable[[], AbstractContextManager[object]],
    add_up: Callable[[Tensor], Tensor],
    *,
    ranks: int,
) -> Tensor | None:
    """Tokens of a step that each expert is chosen for, [E]; None where no term asks, or one batch is all.

    Args:
        learner: model and terms, not wrapped.
        window: this rank's micro-batches of the step.
        autocast: the precision that the step is computed in.
        add_up: sums a tensor over all ranks.
        ranks: how many they are.
    """
    if not learner.needs.routing or (len(window) == 1 and ranks == 1):
        return None
    device = next(learner.parameters()).device
    devices = [device] if device.type == "cuda" else []
    total = torch.zeros(learner.reader.experts, dtype=torch.double, device=device)
    with torch.no_grad(), torch.random.fork_rng(devices), autocast():
        for batch in window:
            read = batch.to(device)
            total += learner.criterion.routed(learner.reader.read(read.inputs, Needs(routing=True)), read)
    return add_up(total)
