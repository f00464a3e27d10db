"""How large a pruned student is: from sizes that are named, or from the share of parameters removed."""

import copy
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig

from limbeck.core.errors import ModelError, Problem
from limbeck.core.models import fresh_model
from limbeck.students.anatomy import Units, axes_of, units_of, width_problem
from limbeck.students.width import narrower

DEPTH = "num_hidden_layers"

_STEP = 8  # widths are multiples of 8, as in GeneZC/MiniMA (`round_to_multiple_of_eight`)
_SMALL = 128  # units; of fewer, single ones are taken out
_MISSED = 0.02  # of the parameters asked for: the most a ratio may be off
_CLOSE = 0.005  # of the parameters asked for: below, the shape decides
_SEARCHED = 0.25  # of the width on either side of the even one


@dataclass(frozen=True)
class PrunedSizes:
    """What is left of a model, in the words of its configuration; None where nothing is taken out."""

    num_hidden_layers: int | None = None
    hidden_size: int | None = None
    intermediate_size: int | None = None
    num_key_value_heads: int | None = None

    @property
    def width(self) -> dict[str, int]:
        """The sizes that are changed besides the depth."""
        return {name: size for name, size in vars(self).items() if size is not None and name != DEPTH}


def sizes_from_words(config: PreTrainedConfig, words: Mapping[str, int]) -> PrunedSizes:
    """The sizes that a recipe names, checked against the model that is cut.

    Args:
        config: of the model.
        words: any of num_hidden_layers, hidden_size, intermediate_size, num_attention_heads and
            num_key_value_heads. Query heads go with the key-value head they read: either of the two
            numbers gives the other.

    Raises:
        ModelError: sizes above the model's, heads that do not make whole groups, sizes that do not go
            together, or width of an architecture that can only lose layers.
    """
    depth = int(config.get_text_config().num_hidden_layers)
    limits = {DEPTH: depth}
    if set(words) - {DEPTH}:
        units = units_of(config)
        limits |= {
            "hidden_size": units.hidden,
            "intermediate_size": units.neurons,
            "num_attention_heads": units.groups * units.group_heads,
            "num_key_value_heads": units.groups,
        }
    problems = [
        Problem(f"sizes.{name}", f"must lie between 1 and {limits[name]}, the model's, got {size}.")
        for name, size in words.items()
        if not 1 <= size <= limits[name]
    ]
    heads = words.get("num_attention_heads")
    if heads is not None and not problems:
        problems += _head_problems(heads, words.get("num_key_value_heads"), units)
    if not problems and "hidden_size" in limits:
        left = words.get("num_key_value_heads", units.groups) * units.group_heads if heads is None else heads
        if problem := width_problem(config, words.get("hidden_size", units.hidden), left):
            problems.append(Problem("sizes.hidden_size", problem))
    if problems:
        raise ModelError(problems)
    kept = {name: size for name, size in words.items() if size != limits[name]}
    if heads is not None and heads != limits["num_attention_heads"]:
        kept["num_key_value_heads"] = heads // units.group_heads
    kept.pop("num_attention_heads", None)
    return PrunedSizes(**kept)


def sizes_from_ratio(config: PreTrainedConfig, ratio: float) -> PrunedSizes:
    """The widths that leave 1 - ratio of a model's parameters; its depth stays.

    All parameters count, embeddings and head included (tied ones once). A matrix inside a layer shrinks
    with the share k that is kept of both its sides, an embedding with one side only, so k solves
    E k + I k^2 = (1 - ratio) (E + I), with E parameters of embeddings, head and norms, and I of the layers.
    With E = 0 each axis loses 1 - sqrt(1 - ratio), as in the paper. A large vocabulary makes k smaller
    than that: the layers then pay for an embedding that cannot shrink as fast.

    Hidden units and neurons come in steps of 8 (single ones below 128), heads in whole groups; of the
    shapes that transformers loads within 0.5 % of the number asked for, the one nearest to an even cut is
    taken.

    Args:
        config: of a supported architecture.
        ratio: share of the parameters removed, in (0, 1).

    Raises:
        ModelError: another architecture, or no shape within 2 % of the number asked for.

    Source:
        Zhang et al. 2023, arXiv:2311.07052, who count the layers only.
    """
    units = units_of(config)
    if not 0 < ratio < 1:
        raise ModelError(f"ratio must lie in (0, 1), both ends excluded, got {ratio}.")
    size = _Counted(config)
    target = (1 - ratio) * size(units.hidden, units.neurons, units.groups)
    share = _even_share(size, units, target)

    def misfit(shape: tuple[int, int, int]) -> tuple[float, float]:
        whole = (units.hidden, units.neurons, units.groups)
        uneven = sum((one / of - share) ** 2 for one, of in zip(shape, whole, strict=True))
        missed = abs(size(*shape) / target - 1)
        return (missed if missed > _CLOSE else 0.0), uneven

    shapes = [
        shape
        for shape in _infos(size, units, target, share)
        if not width_problem(config, shape[0], shape[2] * units.group_heads)
    ]
    # Where heads must divide the width, small models may have no even shape at all.
    best = min(shapes or [(units.hidden, units.neurons, units.groups)], key=misfit)
    got = size(*best)
    if abs(got / target - 1) > _MISSED:
        raise ModelError(
            Problem(
                "ratio",
                f"must leave a number of parameters that some shape has, got {ratio}, which asks for "
                f"{target:,.0f}; the nearest shape has {got:,.0f}. Name sizes instead of a ratio.",
            )
        )
    hidden, neurons, groups = best
    return PrunedSizes(hidden_size=hidden, intermediate_size=neurons, num_key_value_heads=groups)


def pruned_config(config: PreTrainedConfig, sizes: PrunedSizes) -> PreTrainedConfig:
    """The configuration of the model that `sizes` leaves: its number of parameters is exact.

    Which layers stay is not known before they are measured; fields with an entry a layer keep the first ones.
    """
    made = narrower(config, sizes.width) if sizes.width else copy.deepcopy(config)
    depth = sizes.num_hidden_layers
    if depth is not None:
        text = made.get_text_config()
        for name, value in list(vars(text).items()):
            if "layer" in name and isinstance(value, list) and len(value) == text.num_hidden_layers:
                setattr(text, name, value[:depth])
        text.num_hidden_layers = depth
    return made


def _head_problems(heads: int, groups: int | None, units: Units) -> Iterator[Problem]:
    if heads % units.group_heads:
        yield Problem(
            "sizes.num_attention_heads",
            f"must be a multiple of {units.group_heads}, the query heads that share a key-value head, "
            f"got {heads}.",
        )
    elif groups is not None and heads != groups * units.group_heads:
        yield Problem(
            "sizes.num_key_value_heads",
            f"must be {heads // units.group_heads} for {heads} query heads, {units.group_heads} to a "
            f"key-value head, got {groups}. Leave it out.",
        )


class _Counted:
    """Number of parameters as a function of hidden units, neurons and groups."""

    def __init__(self, config: PreTrainedConfig) -> None:
        units = units_of(config)
        self._terms: Counter[tuple[int, int, int]] = Counter()  # powers of the three -> factor
        with torch.device("meta"):
            model = fresh_model(config, "causal")
        for name, weight in model.named_parameters():
            powers, factor = [0, 0, 0], 1
            for size, axis in zip(weight.shape, axes_of(name), strict=True):
                if axis is None:
                    factor *= size
                    continue
                powers[{"hidden": 0, "neurons": 1}.get(axis, 2)] += 1
                factor *= units.block(axis)
            self._terms[powers[0], powers[1], powers[2]] += factor

    def __call__(self, hidden: float, neurons: float, groups: float) -> float:
        return sum(factor * hidden**a * neurons**b * groups**c for (a, b, c), factor in self._terms.items())


def _even_share(size: _Counted, units: Units, target: float) -> float:
    """The share of hidden units, neurons and groups that leaves `target` parameters, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        share = (low + high) / 2
        if size(share * units.hidden, share * units.neurons, share * units.groups) < target:
            low = share
        else:
            high = share
    return high


def _infos(size: _Counted, units: Units, target: float, share: float) -> Iterator[tuple[int, int, int]]:
    """Whole shapes around the even one: hidden units and groups tried, neurons to fit."""
    step, fine = _step(units.hidden), _step(units.neurons)
    nearby = range(step, units.hidden + 1, step)
    even = share * units.hidden
    tried = [one for one in nearby if abs(one - even) <= _SEARCHED * units.hidden] or [
        min(step, units.hidden)
    ]
    below = math.floor(share * units.groups)
    groups = {min(max(1, below + more), units.groups) for more in (-1, 0, 1, 2)}
    for hidden in tried:
        for group in sorted(groups):
            without = size(hidden, 0, group)
            neurons = (target - without) / (size(hidden, 1, group) - without)
            rounded = round(neurons / fine) * fine
            yield hidden, min(max(fine, rounded), units.neurons), group


def _step(count: int) -> int:
    return _STEP if count >= _SMALL else 1
