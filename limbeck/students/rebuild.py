"""A plain model from a changed configuration and the weights that belong to it."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from limbeck.core.models import quiet_transformers


def rebuilt(
    model: PreTrainedModel, config: PreTrainedConfig, weights: Mapping[str, Tensor]
) -> PreTrainedModel:
    """A model of the class of `model` with this configuration and copies of these weights.

    Built as loading builds it, so that what is saved and loaded again is the same model; name,
    generation settings, device and mode are those of `model`.

    Args:
        model: left as it is.
        config: of the new model.
        weights: all of its state, by name; tied ones may be named twice.
    """
    kind: Any = type(model)
    copied = {name: weight.detach().clone() for name, weight in weights.items()}
    with quiet_transformers():
        made = kind.from_pretrained(None, config=config, state_dict=copied, dtype=model.dtype)
    made.name_or_path = made.config.name_or_path = model.config.name_or_path
    if model.can_generate():
        made.generation_config = copy.deepcopy(model.generation_config)
    return made.to(model.device).train(model.training)
