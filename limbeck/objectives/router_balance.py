"""Balance of experts: routers are kept from sending most tokens to few experts."""

from torch import Tensor

from limbeck.core.signals.routing import Routing


def router_balance(student_routing: Routing, routed_shares: Tensor) -> Tensor:
    """E * sum_e f_e * p_e per token: chosen experts f of the whole step against this token's probabilities p.

    p is a mean over the layers that have a router, and so is f. The shares are constants, as they are
    where they are counted: the gradient is that of the probabilities alone. Routers that choose K experts
    evenly give K.

    Args:
        student_routing: of M layers, in any float dtype; computed in float32.
        routed_shares: f, [E]: how often each expert is chosen for a token of the optimizer step; adds up
            to K.

    Returns:
        [B, T]; neither masked nor reduced.

    Source:
        Fedus, Zoph and Shazeer 2022, arXiv:2101.03961, equations 4 to 6; transformers,
        `models/mixtral/modeling_mixtral.py:load_balancing_loss_func`, which counts f in each micro-batch:
        there the loss depends on how a step is cut into micro-batches.
    """
    probabilities = student_routing.logits.float().softmax(-1).mean(-2)
    # Not a matrix product, which mixed precision would round.
    return probabilities.shape[-1] * (probabilities * routed_shares).sum(-1)
