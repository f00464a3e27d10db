"""Students of the teacher's architecture with weights of their own."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from limbeck.core.errors import ModelError
from limbeck.core.kinds import KindName
from limbeck.core.lookup import did_you_mean
from limbeck.core.models import fresh_model, kind_of, read_config
from limbeck.core.seeds import derived_seed


def fresh(
    like: str | Path | PreTrainedConfig,
    sizes: Mapping[str, Any],
    *,
    seed: int,
    kind: KindName | None = None,
) -> PreTrainedModel:
    """A randomly initialised model of the architecture of `like`, with some fields changed.

    Args:
        like: folder, hub id or configuration; its vocabulary is kept unless `sizes` says otherwise.
        sizes: fields of the configuration, such as `num_hidden_layers` or `hidden_size`.
        seed: equal seeds give equal weights; torch's own generator stays as it was.
        kind: what the model is used as; None takes the class that `like` was saved as.

    Raises:
        ModelError: an unknown field, or sizes that do not go together.
    """
    config = copy.deepcopy(like) if isinstance(like, PreTrainedConfig) else read_config(like)
    known = set(config.to_dict()) | set(config.attribute_map)
    for field in sizes:
        if field not in known:
            raise ModelError(
                f"unknown field '{field}' of {type(config).__name__}.{did_you_mean(field, known)}"
            )
    kind = kind or kind_of(config)
    try:
        changed = _changed(config, sizes)
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(seed, "fresh"))
            return fresh_model(changed, kind)
    except (ValueError, TypeError, RuntimeError) as error:
        listed = ", ".join(f"{field}={value}" for field, value in sizes.items())
        raise ModelError(
            f"sizes must go together, got {listed}; {type(config).__name__} says: {error}"
        ) from error


def _changed(config: PreTrainedConfig, sizes: Mapping[str, Any]) -> PreTrainedConfig:
    """The configuration with other sizes; fields that were derived from the old sizes are derived anew."""
    names = {config.attribute_map.get(field, field): value for field, value in sizes.items()}
    values = config.to_dict() | names
    depth = getattr(config, "num_hidden_layers", None)
    for field, value in list(values.items()):
        per_layer = "layer" in field and isinstance(value, list) and len(value) == depth
        if per_layer and field not in names:
            del values[field]
    heads, width = getattr(config, "num_attention_heads", None), getattr(config, "hidden_size", None)
    if heads and width and values.get("head_dim") == width // heads and "head_dim" not in names:
        del values["head_dim"]
    if heads and values.get("num_key_value_heads") == heads and "num_key_value_heads" not in names:
        del values["num_key_value_heads"]
    return type(config).from_dict(values)
