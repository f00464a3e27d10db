"""Hidden states [B, T, D] after each layer, and what the first layer reads, at the site "embedding"."""

from torch import Tensor

from limbeck.core.errors import ModelError
from limbeck.core.needs import Site
from limbeck.core.taps import Forward, Tap

EMBEDDING = "embedding"


def _state(forward: Forward, site: Site) -> Tensor:
    # Entry 0 of transformers' list is the embedding output: layer i is entry i + 1.
    answer = forward.answer
    states: tuple[Tensor, ...] = answer.get("decoder_hidden_states") or answer["hidden_states"]
    layers = len(states) - 1
    if site == EMBEDDING:
        return states[0]
    if not isinstance(site, int) or not -layers <= site < layers:
        raise ModelError(f"layer must lie between {-layers} and {layers - 1}, got {site}.")
    return states[1:][site]


TAP = Tap(_state, options={"output_hidden_states": True})
