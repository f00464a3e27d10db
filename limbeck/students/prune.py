"""Students cut from their teacher by importance: what was found to matter least is taken out."""

import copy

from torch import Tensor
from transformers import PreTrainedModel

from limbeck.core.errors import ModelError
from limbeck.students.anatomy import units_of
from limbeck.students.importance import Importance, most_important
from limbeck.students.layers import keep_layers
from limbeck.students.sizes import PrunedSizes
from limbeck.students.width import keep_units


def prune(
    model: PreTrainedModel, importance: Importance, sizes: PrunedSizes, *, rescale_norms: bool = True
) -> PreTrainedModel:
    """A copy of `model` with its most important layers, hidden units, heads and neurons.

    Layers are chosen by block influence, the others by their scores, all from the one measurement of
    the whole model; equally many heads and neurons stay in every layer, chosen in each by itself.

    Args:
        model: as it was measured; left as it is.
        importance: of `measure_importance`.
        sizes: of `sizes_from_words` or `sizes_from_ratio`.
        rescale_norms: put the size of the norms' outputs back (see `keep_units`); measured in
            docs/log.md, 2026-11-22.

    Raises:
        ModelError: width is to be cut and was not measured.
    """
    keep = tuple(range(len(importance.layers)))
    if sizes.num_hidden_layers is not None:
        keep = most_important(importance.layers, sizes.num_hidden_layers)
        model = keep_layers(model, keep)
    if not sizes.width:
        return model if sizes.num_hidden_layers is not None else copy.deepcopy(model)
    width = importance.width
    if width is None:
        raise ModelError("importance must hold scores of the width to cut it, got those of layers only.")
    norms = [row for layer in keep for row in (2 * layer, 2 * layer + 1)] + [len(width.energies) - 1]
    units = units_of(model.config)
    hidden = sizes.hidden_size
    return keep_units(
        model,
        hidden=None if hidden is None else most_important(width.hidden, hidden),
        groups=_chosen(width.groups[list(keep)], sizes.num_key_value_heads or units.groups),
        neurons=_chosen(width.neurons[list(keep)], sizes.intermediate_size or units.neurons),
        energies=width.energies[norms] if rescale_norms and hidden is not None else None,
    )


def _chosen(scores: Tensor, count: int) -> list[tuple[int, ...]]:
    return [most_important(layer, count) for layer in scores]
