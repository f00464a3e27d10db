"""Sums over a whole optimizer step that a loss needs to know before its first micro-batch.

So it is with the balance of experts: its gradient is linear in the shares of the step's tokens that experts
get, and these belong to the step, not to a micro-batch: were each balanced for itself, the step would depend
on how it is cut. So a pass over the window adds them up first, without gradients. It draws the random numbers
of the pass that follows, which therefore meets the same dropout. A step of a single micro-batch adds up for
itself and needs no such pass.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.engine.party import Learner


def summed_in_step(
    learner: Learner,
    window: Sequence[Batch],
    autocast: Callable[[], AbstractContextManager[object]],
    add_up: Callable[[Tensor], Tensor],
    *,
    ranks: int,
) -> dict[str, Tensor] | None:
    """Signal -> its sum over a step and all ranks; None where no term asks, or one batch is all.

    Args:
        learner: model and terms, not wrapped.
        window: this rank's micro-batches of the step.
        autocast: the precision that the step is computed in.
        add_up: sums a tensor over all ranks.
        ranks: how many they are.
    """
    criterion = learner.criterion
    needs = criterion.summed_needs
    if not needs or (len(window) == 1 and ranks == 1):
        return None
    device = next(learner.parameters()).device
    devices = [device] if device.type == "cuda" else []
    total: dict[str, Tensor] = {}
    with torch.no_grad(), torch.random.fork_rng(devices), autocast():
        for batch in window:
            read = batch.to(device)
            for name, part in criterion.summed(learner.reader.read(read.inputs, needs), read).items():
                total[name] = total[name] + part if name in total else part
    return {name: add_up(part) for name, part in total.items()}
