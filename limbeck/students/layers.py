"""Students cut out of their teacher's depth: which layers to keep, and the cut itself."""

import copy
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from limbeck.core.errors import ModelError
from limbeck.students.rebuild import rebuilt

_DEPTH_FIELDS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers")
_DECODER_DEPTH_FIELDS = ("decoder_layers", "num_decoder_layers")
_NAMED = 3  # tensors named in a message


def evenly_spaced(teacher_layers: int, student_layers: int) -> tuple[int, ...]:
    """Layers to keep, spread evenly, the first and the last among them.

    Layer i of the student is layer i * (L - 1) / (S - 1) of the teacher, rounded to the nearest,
    halves downwards: 12 -> 6 gives DistilBERT's 0, 2, 4, 7, 9, 11; 6 -> 3 gives 0, 2, 5. One
    layer alone is the first.

    Raises:
        ModelError: more layers are asked for than there are, or none.
    """
    if not 1 <= student_layers <= teacher_layers:
        raise ModelError(
            f"student layers must lie between 1 and the teacher's {teacher_layers}, got {student_layers}."
        )
    if student_layers == 1:
        return (0,)
    whole, parts = teacher_layers - 1, student_layers - 1
    return tuple((2 * i * whole + parts - 1) // (2 * parts) for i in range(student_layers))


def keep_layers(
    model: PreTrainedModel, keep: Sequence[int], *, decoder_keep: Sequence[int] | None = None
) -> PreTrainedModel:
    """A copy of `model` with only some of its layers; embeddings, norms and heads stay.

    The copy is built from the shortened configuration, so that what is saved and loaded again
    is the same model. Keeping all layers gives the same outputs bit for bit.

    Args:
        model: a plain transformers model, left as it is.
        keep: layers to keep, counted from 0, ascending; of a seq2seq model the encoder's.
        decoder_keep: layers of a seq2seq model's decoder; None takes `keep` for both.

    Raises:
        ModelError: impossible layers, or a model whose layers cannot be told from its structure.

    Source:
        Layer copy as in DistilBERT (Sanh et al. 2019, arXiv:1910.01108, `extract_distilbert.py`)
        and Minitron (Muralidharan et al. 2024, arXiv:2407.14679); the choice of layers is the
        caller's.
    """
    if not isinstance(model, PreTrainedModel):
        raise ModelError(
            f"model must be a plain transformers model, got {type(model).__name__}. Merge its adapters first."
        )
    config = copy.deepcopy(model.config)
    weights = dict(model.state_dict())
    if config.is_encoder_decoder:
        encoder, decoder = model.get_encoder(), model.get_decoder()
        weights = _cut(model, encoder, keep, weights, config, _DEPTH_FIELDS, "keep")
        kept, argument = (keep, "keep") if decoder_keep is None else (decoder_keep, "decoder_keep")
        weights = _cut(model, decoder, kept, weights, config, _DECODER_DEPTH_FIELDS, argument)
    elif decoder_keep is not None:
        raise ModelError(f"decoder_keep must be None for {type(model).__name__}; it has one stack of layers.")
    else:
        weights = _cut(model, model, keep, weights, config, _DEPTH_FIELDS, "keep")
    return _refilled(model, config, weights)


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """The layers of a model with one stack of them, in order.

    Raises:
        ModelError: they cannot be told from its structure.
    """
    return _layers_of(model, model.config.get_text_config(), _DEPTH_FIELDS)


def _cut(
    model: PreTrainedModel,
    stack: nn.Module,
    keep: Sequence[int],
    weights: Mapping[str, Tensor],
    config: PreTrainedConfig,
    fields: Sequence[str],
    argument: str,
) -> dict[str, Tensor]:
    """Cut one stack: shorten `config` in place, return the weights under their new names."""
    text = config.get_text_config()
    layers = _layers_of(stack, text, fields)
    depth = len(layers)
    _check_keep(keep, depth, argument)
    _shorten(text, depth, keep, fields)
    prefix = next(name for name, module in model.named_modules() if module is layers) + "."
    return _renamed(weights, prefix, keep)


def _layers_of(stack: nn.Module, config: PreTrainedConfig, fields: Sequence[str]) -> nn.ModuleList:
    depth = next((getattr(config, field) for field in fields if hasattr(config, field)), None)
    blocks = [module for module in _outermost_lists(stack) if depth is not None and len(module) == depth]
    if len(blocks) != 1:
        raise ModelError(
            f"model must have one list of {depth or 'its'} layers to cut, got {len(blocks)} in "
            f"{type(stack).__name__}. Cut this architecture by hand and load the result."
        )
    return blocks[0]


def _outermost_lists(stack: nn.Module) -> list[nn.ModuleList]:
    lists = [(name, module) for name, module in stack.named_modules() if isinstance(module, nn.ModuleList)]
    return [module for name, module in lists if not any(name.startswith(f"{other}.") for other, _ in lists)]


def _check_keep(keep: Sequence[int], depth: int, argument: str) -> None:
    outside = [layer for layer in keep if not 0 <= layer < depth]
    if outside:
        listed = ", ".join(map(str, outside))
        raise ModelError(f"{argument} must name layers between 0 and {depth - 1}, got {listed}.")
    if not keep or any(first >= second for first, second in pairwise(keep)):
        raise ModelError(f"{argument} must be ascending layers, each once, at least one, got {list(keep)}.")


def _shorten(config: PreTrainedConfig, depth: int, keep: Sequence[int], fields: Sequence[str]) -> None:
    for name, value in list(vars(config).items()):
        if "layer" in name and isinstance(value, (list, tuple)) and len(value) == depth:
            setattr(config, name, [value[layer] for layer in keep])
    if hasattr(config, "attention_types") and hasattr(config, "attention_layers"):
        config.attention_types = [
            [list(config.attention_layers), 1]
        ]  # GPT-Neo derives the one from the other
    for field in fields:
        if getattr(config, field, None) == depth:
            setattr(config, field, len(keep))


def _renamed(weights: Mapping[str, Tensor], prefix: str, keep: Sequence[int]) -> dict[str, Tensor]:
    place = {old: new for new, old in enumerate(keep)}
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    renamed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        found = pattern.match(name)
        if found is None:
            renamed[name] = weight
        elif int(found[1]) in place:
            renamed[f"{prefix}{place[int(found[1])]}.{name[found.end() :]}"] = weight
    return renamed


def _refilled(
    model: PreTrainedModel, config: PreTrainedConfig, weights: Mapping[str, Tensor]
) -> PreTrainedModel:
    kind: Any = type(model)
    with torch.device("meta"):
        expected = set(kind(copy.deepcopy(config)).state_dict())
    original = model.state_dict()
    # T5 keeps the position bias of all layers in its first one: that stays, whichever layer comes first.
    filled = {name: original[name] for name in expected - set(weights) if name in original} | dict(weights)
    strange = sorted(expected ^ set(filled))
    if strange:
        raise ModelError(
            f"layers kept must fit the positions they move to, got weights without a place: "
            f"{', '.join(strange[:_NAMED])}; {type(model).__name__} builds some layers differently. "
            "Keep the first layer, and every so many as the pattern of its layers repeats."
        )
    return rebuilt(model, config, filled)
