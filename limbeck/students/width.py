"""Students cut out of their teacher's width: hidden units, groups of heads and neurons taken out for good."""

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from limbeck.core.errors import ModelError
from limbeck.students.anatomy import Axis, Units, axes_of, layer_of, units_of, width_problem
from limbeck.students.rebuild import rebuilt


def keep_units(
    model: PreTrainedModel,
    *,
    hidden: Sequence[int] | None = None,
    groups: Sequence[Sequence[int]] | None = None,
    neurons: Sequence[Sequence[int]] | None = None,
    energies: Tensor | None = None,
) -> PreTrainedModel:
    """A copy of `model` with only some of its units, in the order given: a plain, narrower model.

    Keeping all units, in any order, keeps the outputs (to rounding, about 1e-6 of them). So does taking
    out units that give nothing.

    RMSNorm divides by the root of the mean square over the units that are there. Units that are taken
    out change that mean, and with it the size of everything behind the norm. With `energies` each norm's
    weight is multiplied by sqrt(mean of energies over the kept units), which puts the size of its output
    back to what it was on average; without, the norms keep their weights, as in the official code.

    Args:
        model: of a supported architecture (`anatomy.ARCHITECTURES`), left as it is.
        hidden: units of the hidden states, each at most once; None keeps all.
        groups: [L][g], for each layer the key-value heads to keep, with the query heads that read them.
        neurons: [L][f], for each layer the feed-forward units to keep.
        energies: [2 L + 1, H], as of `measure_importance`; None leaves the norms.

    Returns:
        A model whose configuration says hidden_size, intermediate_size, num_attention_heads,
        num_key_value_heads and head_dim; heads keep their channels, so head_dim stays.

    Raises:
        ModelError: another architecture, units that are not there, layers that would differ in size, or a
            shape that transformers does not save (`anatomy.width_problem`).

    Source:
        Reorder and cut as in Zhang et al. 2023, arXiv:2311.07052 (GeneZC/MiniMA,
        `minima/modules/modeling_sparsellama.py:SparseLlamaModel.reorder`); there layers may end with
        different numbers of heads and neurons, here they may not, so that plain transformers loads them.
    """
    units = units_of(model.config)
    kept_groups = _per_layer("groups", groups, units.layers, units.groups)
    kept_neurons = _per_layer("neurons", neurons, units.layers, units.neurons)
    (kept_hidden,) = _per_layer("hidden", None if hidden is None else [hidden], 1, units.hidden)
    if energies is not None and tuple(energies.shape) != (2 * units.layers + 1, units.hidden):
        raise ModelError(
            f"energies must be [{2 * units.layers + 1}, {units.hidden}], got {list(energies.shape)}. "
            "Measure them on the model that is cut."
        )
    chosen: Mapping[Axis, Callable[[int], Tensor]] = {
        "hidden": lambda layer: kept_hidden,
        "query": lambda layer: _blocks(kept_groups[layer], units.block("query")),
        "key_value": lambda layer: _blocks(kept_groups[layer], units.block("key_value")),
        "neurons": lambda layer: kept_neurons[layer],
    }
    weights = {}
    for name, weight in model.state_dict().items():
        for dimension, axis in enumerate(axes_of(name)):
            if axis is not None:
                index = chosen[axis](layer_of(name) or 0)
                weight = weight.index_select(dimension, index.to(weight.device))
        if energies is not None and (place := _norm_place(name, units.layers)) is not None:
            weight = weight * energies[place, kept_hidden].mean().sqrt().to(weight)
        weights[name] = weight
    heads = len(kept_groups[0]) * units.group_heads
    if problem := width_problem(model.config, len(kept_hidden), heads):
        raise ModelError(f"the number of hidden units {problem}")
    sizes = {
        "hidden_size": len(kept_hidden),
        "intermediate_size": len(kept_neurons[0]),
        "num_key_value_heads": len(kept_groups[0]),
    }
    return rebuilt(model, narrower(model.config, sizes), weights)


def narrower(config: PreTrainedConfig, sizes: Mapping[str, int]) -> PreTrainedConfig:
    """A copy of `config` with these sizes, and all others that follow from them said explicitly.

    Args:
        config: of a supported architecture.
        sizes: any of hidden_size, intermediate_size, num_key_value_heads.
    """
    units: Units = units_of(config)
    made = copy.deepcopy(config)
    made.hidden_size = sizes.get("hidden_size", units.hidden)
    made.intermediate_size = sizes.get("intermediate_size", units.neurons)
    made.num_key_value_heads = sizes.get("num_key_value_heads", units.groups)
    made.num_attention_heads = made.num_key_value_heads * units.group_heads
    made.head_dim = units.head_dim
    return made


def _per_layer(
    what: str, kept: Sequence[Sequence[int]] | None, layers: int, count: int
) -> tuple[Tensor, ...]:
    if kept is None:
        return (torch.arange(count),) * layers
    if len(kept) != layers:
        raise ModelError(f"{what} must be given for each of {layers} layers, got {len(kept)} lists.")
    sizes = sorted({len(one) for one in kept})
    if len(sizes) > 1:
        listed = ", ".join(map(str, sizes))
        raise ModelError(
            f"{what} must be equally many in every layer, got {listed}; one number in the configuration "
            "holds for all layers. Keep as many in each."
        )
    for one in kept:
        if not one or len(set(one)) < len(one) or min(one) < 0 or max(one) >= count:
            raise ModelError(
                f"{what} must be numbers from 0 to {count - 1}, each once, at least one, got {_said(one)}."
            )
    return tuple(torch.tensor(list(one)) for one in kept)


def _said(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return f"[{shown}{', ...' if len(numbers) > 8 else ''}]"


def _blocks(units: Tensor, size: int) -> Tensor:
    """The rows of units that take `size` rows each: [n] -> [n * size]."""
    return (units[:, None] * size + torch.arange(size)).flatten()


def _norm_place(name: str, layers: int) -> int | None:
    """Which row of the energies a norm's weight belongs to; None for all other weights."""
    if name.endswith("input_layernorm.weight"):
        return 2 * (layer_of(name) or 0)
    if name.endswith("post_attention_layernorm.weight"):
        return 2 * (layer_of(name) or 0) + 1
    return 2 * layers if name.endswith(".norm.weight") else None
