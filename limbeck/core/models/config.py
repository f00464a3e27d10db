"""Configurations of models: read, checked for sizes that no model has, counted, told apart by use."""

import copy
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from limbeck.core.architectures import writers_of
from limbeck.core.errors import ModelError, UserError
from limbeck.core.kinds import KindName, ModelKind, kind_named, kind_names
from limbeck.core.model_words import ModelWord, model_word
from limbeck.core.models.places import (
    asked,
    check_place,
    first_line,
    quiet_transformers,
    source_of,
    unreadable,
)
from limbeck.core.models.text_part import text_part

_MOST_LAYERS = 2000  # the deepest published have 1,000 (DeepNet); building 2,000 without memory takes 3 s
_LAYERS = ("num_hidden_layers", "encoder_layers", "decoder_layers", "num_decoder_layers")
_SIZES = ("vocab_size", "hidden_size", "num_hidden_layers")
# None at all is right for some (a model without experts, or without attention).
_COUNTS = (
    *("intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim", *_LAYERS),
    *("num_experts", "num_local_experts", "num_experts_per_tok"),
)


def read_config(path_or_id: str | Path) -> PreTrainedConfig:
    """The configuration of a model, without its weights: the cheap check that there is one.

    Of a model of images and text it is the configuration of the language part (`text_part`).

    Args:
        path_or_id: folder, hub id, or a word with options (`core.model_words`).

    Raises:
        ModelError: a folder that holds no model, a missing folder, an id that the hub does not
            give, sizes that no model has; says what was looked for and which folders are near by.
    """
    return text_part(raw_config(path_or_id)) or raw_config(path_or_id)


def raw_config(path_or_id: str | Path) -> PreTrainedConfig:
    """The configuration as it lies in the folder, of all parts of a model."""
    word = model_word(path_or_id)
    check_place(word)
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(source_of(word), **asked(word))
    except UserError:
        raise
    except Exception as error:  # whatever a library says of a file that a user gave
        raise ModelError(unreadable(word, error)) from error
    if word.gguf_file and not config.architectures:
        config.architectures = writers_of(config.model_type)
    check_config(config, word.said)
    return config


def check_config(config: PreTrainedConfig, name: str) -> None:
    """Refuse sizes that no model has, before anything is built from them.

    Raises:
        ModelError: each of them, with the `name` of the model.
    """
    text = config.get_text_config()
    problems = []
    for field in dict.fromkeys((*_SIZES, *_COUNTS)):
        value = getattr(text, field, None)
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        least, most = int(field in _SIZES), _MOST_LAYERS if field in _LAYERS else None
        if value < least or (most is not None and value > most):
            allowed = f"at least {least}" if most is None else f"from {least} to {most:,}"
            problems.append(f"{field} must be {allowed}, got {value:,}")
    if problems:
        raise ModelError(
            f"the config.json of {name} cannot be right: {'; '.join(problems)}. Correct it there."
        )


def count_parameters(model: nn.Module) -> int:
    """Number of weights; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def estimate_parameters(config: PreTrainedConfig, kind: KindName) -> int:
    """`count_parameters` of the model that `config` describes, without its memory.

    Raises:
        ModelError: the configuration describes no model.
    """
    return count_parameters(skeleton(config, kind))


def skeleton(config: PreTrainedConfig, kind: KindName) -> PreTrainedModel:
    """The model that `config` describes, without weights (on torch's meta device)."""
    check_config(config, type(config).__name__)
    try:
        with torch.device("meta"):
            return fresh_model(config, kind)
    except UserError:
        raise
    except Exception as error:  # whatever the model's own code says of a configuration that a user gave
        raise ModelError(
            f"configuration must describe a {kind} model, got a {type(config).__name__} of which "
            f"{type(error).__name__} comes: {first_line(error)}. Correct its config.json."
        ) from error


def fresh_model(config: PreTrainedConfig, kind: KindName) -> PreTrainedModel:
    """The model that `config` describes with random weights in float32, from torch's global generator."""
    auto_class = auto_class_of(kind_named(kind))
    trusted = type(config).__module__.startswith("transformers_modules")
    own = copy.deepcopy(config)  # transformers writes the dtype into the one it is given
    with quiet_transformers():
        return auto_class.from_config(own, dtype=torch.float32, trust_remote_code=trusted)


def saved_dtype(config: PreTrainedConfig) -> torch.dtype:
    """The dtype that a model's weights were saved in, as its configuration says; float32 if it does not."""
    found = getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None)
    if isinstance(found, str):
        found = getattr(torch, found.removeprefix("torch."), None)
    return found if isinstance(found, torch.dtype) and found.is_floating_point else torch.float32


def dtype_of(word: ModelWord, saved: torch.dtype, default: str) -> torch.dtype:
    """The dtype a model is loaded in: what its word says, else `default`; `auto` is the `saved` one."""
    name = word.dtype or default
    found: torch.dtype = saved if name == "auto" else getattr(torch, name)
    return found


def said_dtype(dtype: torch.dtype) -> str:
    """The name of a dtype as people write it: `bfloat16`."""
    return str(dtype).removeprefix("torch.")


def kind_of(config: PreTrainedConfig) -> KindName:
    """What a saved model was used as, from the class named in its configuration.

    Raises:
        ModelError: the configuration names no class, or one of another use.
    """
    names = config.architectures or []
    for architecture in names:
        for name in kind_names():
            if kind_named(name).is_saved_as(architecture, config):
                return name
    raise ModelError(
        f"kind of a model must be told from the class it was saved as, got {', '.join(names) or 'no class'}. "
        f"Name one of {', '.join(kind_names())}."
    )


def auto_class_of(kind: ModelKind) -> Any:
    """The class of transformers that loads a kind."""
    return getattr(transformers, kind.auto_class)
