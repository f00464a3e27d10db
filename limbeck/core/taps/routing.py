"""What the routers of a model with experts say of each token (`core.signals.routing.Routing`)."""

import torch

from limbeck.core.errors import ModelError
from limbeck.core.needs import Site
from limbeck.core.signals.routing import Routing
from limbeck.core.taps import Forward, Tap


def _routing(forward: Forward, site: Site) -> Routing:
    model, found = forward.reader.plain, getattr(forward.answer, "router_logits", None)
    if not found or not getattr(model, "num_experts", 0):
        raise ModelError(
            f"model must have routers to say which experts it chooses, got {type(model).__name__}. "
            "Set router_aux_loss_coef to 0."
        )
    # One a layer, [B * T, E] or [B, T, E].
    shape = forward.inputs["input_ids"].shape
    logits = torch.stack([one.reshape(*shape, -1) for one in found], dim=2)
    # Of the probabilities, as transformers counts them: equal ones may be ordered otherwise.
    probabilities = logits.float().softmax(-1)
    return Routing(logits, probabilities.topk(model.num_experts_per_tok, dim=-1).indices)


TAP = Tap(_routing, options={"output_router_logits": True})
