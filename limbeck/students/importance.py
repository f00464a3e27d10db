"""What each part of a model is worth: one pass over a few rows, before any of it is removed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy, normalize
from transformers import PreTrainedModel

from limbeck.core.batch import Batch
from limbeck.core.errors import ModelError
from limbeck.core.masks import IGNORE
from limbeck.students.anatomy import Units, has_prunable_width, units_of
from limbeck.students.layers import layers_of

Measure = Literal["gradient", "activation"]

_TINY = 1e-12  # below any mean square that a norm's own epsilon lets count; the pad token's state may be 0


@dataclass(frozen=True)
class WidthImportance:
    """Scores of the units of a model's width, none of them negative, on the CPU.

    Attributes:
        hidden: [H], of L2 norm 1.
        groups: [L, G] of key-value heads with their query heads, of L2 norm 1 in each layer.
        neurons: [L, F], of L2 norm 1 in each layer.
        energies: [2 L + 1, H], for the norms in the order they are met (two a layer, then the last):
            mean over tokens of x_h^2 / mean_k x_k^2 at its input x, so that a row has mean 1.
    """

    hidden: Tensor
    groups: Tensor
    neurons: Tensor
    energies: Tensor


@dataclass(frozen=True)
class Importance:
    """What `measure_importance` found; higher is worth more.

    Attributes:
        layers: [L], block influence: mean over tokens of 1 - cos(state before, state after the layer).
        layer_gradients: [L], mean over batches of |dL/dm_l| for a factor m_l on all that layer l adds;
            None without gradients.
        width: of the units; None for an architecture whose width cannot be cut.
    """

    layers: Tensor
    layer_gradients: Tensor | None
    width: WidthImportance | None


def measure_importance(
    model: PreTrainedModel, batches: Iterable[Batch], *, by: Measure = "gradient"
) -> Importance:
    """Scores of layers, hidden units, heads and neurons of a causal model from a few batches.

    `gradient`: factors of 1 stand on what each unit gives: a group of heads its output, a neuron its
    activation, a hidden unit all that is written to it (embedding, attention, feed-forward). A score is
    the mean over batches of |dL/dm|, with L the batch's mean cross-entropy (nats a token): to first
    order, what the loss changes by when the unit is removed. As every one is a factor of a linear map,
    it equals |sum w dL/dw| over the weights w that carry the unit. Small batches tell units apart that
    help one row and harm another.

    `activation`: no backward pass. A neuron scores its mean |activation|, a group the L2 norm of its
    channels' mean |output|, a hidden unit its mean |value| after the norms, summed over them.

    The weights are neither changed nor given gradients; dropout is off. Padding is not counted.

    Args:
        model: causal, plain; on any device.
        batches: of causal rows, padded or packed; on any device.
        by: how the width is measured; layers get their block influence either way.

    Raises:
        ModelError: no token to predict in any batch, or layers that cannot be told from the structure.

    Source:
        Masks: Zhang et al. 2023, arXiv:2311.07052 (GeneZC/MiniMA, `minima/run_sparsification_llama.py`),
        after Michel et al. 2019, arXiv:1905.10650. The official mask of a hidden unit acts again on every
        sum of the residual stream, which counts early writes many times; here each write counts once.
        Heads are grouped by the key-value head they share. Block influence: Men et al. 2024,
        arXiv:2403.03853. Activations: Muralidharan et al. 2024, arXiv:2407.14679, with means over tokens;
        the head's score as in NVIDIA/Model-Optimizer (`mcore_minitron.py`).
    """
    units = units_of(model.config) if has_prunable_width(model.config) else None
    watch = _Watch(model, units, with_gradients=by == "gradient")
    count = 0
    with watch.hooked(), _at_rest(model), torch.set_grad_enabled(by == "gradient"):
        for batch in batches:
            if batch.loss_mask is not None and batch.loss_mask.any():
                watch.read(model, batch.to(model.device))
                count += 1
    if not count:
        raise ModelError(
            "rows must have a token to predict to measure importance, got none. Take longer rows."
        )
    return watch.result(count)


def most_important(scores: Tensor, count: int) -> tuple[int, ...]:
    """The places of the `count` highest of `scores` [N], ascending; of equal ones the first."""
    order = torch.sort(scores, descending=True, stable=True).indices[:count]
    return tuple(sorted(order.tolist()))


class _Watch:
    """Hooks on one model, and the sums they gather."""

    def __init__(self, model: PreTrainedModel, units: Units | None, *, with_gradients: bool) -> None:
        layers = list(layers_of(model))
        self._units, self._with_gradients = units, with_gradients
        self._hooks: list[Callable[[], Any]] = [
            partial(layer.register_forward_hook, partial(self._layer, place), with_kwargs=True)
            for place, layer in enumerate(layers)
        ]
        device, depth = model.device, len(layers)
        self._masks = {"layers": torch.ones(depth, device=device)}
        self._sums = {"influence": torch.zeros(depth, device=device)}
        if units is not None:
            self._watch_width(model, layers, units)
        for name, mask in self._masks.items():
            self._sums[name] = torch.zeros_like(mask)
            mask.requires_grad_(with_gradients)
        self._is_read: Tensor = torch.ones(0)
        self._tokens = 0.0

    def _watch_width(self, model: Any, layers: list[Any], units: Units) -> None:
        device, norms = model.device, [model.model.norm]
        self._masks |= {
            "hidden": torch.ones(units.hidden, device=device),
            "groups": torch.ones(units.layers, units.groups, device=device),
            "neurons": torch.ones(units.layers, units.neurons, device=device),
        }
        self._sums["energies"] = torch.zeros(2 * units.layers + 1, units.hidden, device=device)
        self._sums["channels"] = torch.zeros(units.layers, units.groups * units.block("query"), device=device)
        writers = [model.get_input_embeddings()]
        for place, layer in enumerate(layers):
            attention, feed_forward = layer.self_attn.o_proj, layer.mlp.down_proj
            writers += [attention, feed_forward]
            norms[-1:-1] = [layer.input_layernorm, layer.post_attention_layernorm]
            self._hooks.append(partial(attention.register_forward_pre_hook, partial(self._heads, place)))
            self._hooks.append(partial(feed_forward.register_forward_pre_hook, partial(self._neurons, place)))
        for writer in writers:
            self._hooks.append(partial(writer.register_forward_hook, self._write))
        for place, norm in enumerate(norms):
            self._hooks.append(partial(norm.register_forward_hook, partial(self._norm, place)))

    @contextmanager
    def hooked(self) -> Iterator[None]:
        handles = [hook() for hook in self._hooks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def read(self, model: PreTrainedModel, batch: Batch) -> None:
        """Add one batch to the sums."""
        assert batch.targets is not None
        read = batch.inputs.get("attention_mask")
        self._is_read = torch.ones_like(batch.targets) if read is None else read
        self._tokens += float(self._is_read.sum())
        logits = model(**batch.inputs, use_cache=False).logits
        if self._with_gradients:
            loss = cross_entropy(logits.float().flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE)
            gradients = torch.autograd.grad(loss, list(self._masks.values()))
            for name, gradient in zip(self._masks, gradients, strict=True):
                self._sums[name] += gradient.abs()

    def result(self, count: int) -> Importance:
        """Means over `count` batches, or over the tokens."""
        sums = {name: total.detach().cpu() for name, total in self._sums.items()}
        gradients = sums["layers"] / count if self._with_gradients else None
        width = None
        if self._units is not None:
            groups = sums["groups"]
            if not self._with_gradients:
                shape = (self._units.layers, self._units.groups, self._units.block("query"))
                groups = sums["channels"].view(shape).norm(dim=-1)
            width = WidthImportance(
                hidden=normalize(sums["hidden"], dim=-1),
                groups=normalize(groups, dim=-1),
                neurons=normalize(sums["neurons"], dim=-1),
                energies=sums["energies"] / self._tokens,
            )
        return Importance(sums["influence"] / self._tokens, gradients, width)

    # Hooks. Where there are no gradients, the sums are of activations instead.

    def _layer(self, place: int, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        before = args[0] if args else kwargs["hidden_states"]
        after = output[0] if isinstance(output, tuple) else output
        with torch.no_grad():
            influence = 1 - cosine_similarity(before.float(), after.float(), dim=-1)
            self._sums["influence"][place] += (influence * self._is_read).sum()
        # Adds 0 while the mask is 1, so that what the layer gives stays the same to the last bit.
        after = after + (self._masks["layers"][place] - 1).to(after.dtype) * (after - before)
        return (after, *output[1:]) if isinstance(output, tuple) else after

    def _heads(self, place: int, module: nn.Module, args: Any) -> Any:
        assert self._units is not None
        if not self._with_gradients:
            self._sums["channels"][place] += self._sum(args[0].abs())
        mask = self._masks["groups"][place].repeat_interleave(self._units.block("query"))
        return (args[0] * mask.to(args[0].dtype), *args[1:])

    def _neurons(self, place: int, module: nn.Module, args: Any) -> Any:
        if not self._with_gradients:
            self._sums["neurons"][place] += self._sum(args[0].abs())
        return (args[0] * self._masks["neurons"][place].to(args[0].dtype), *args[1:])

    def _write(self, module: nn.Module, args: Any, output: Any) -> Any:
        return output * self._masks["hidden"].to(output.dtype)

    def _norm(self, place: int, module: nn.Module, args: Any, output: Any) -> None:
        with torch.no_grad():
            squares = args[0].float().square()
            means = squares.mean(-1, keepdim=True).clamp_min(_TINY)
            self._sums["energies"][place] += self._sum(squares / means)
            if not self._with_gradients:
                self._sums["hidden"] += self._sum(output.abs())

    def _sum(self, values: Tensor) -> Tensor:
        """Sum over the tokens that are no padding: [B, T, N] -> [N]."""
        return (values.float() * self._is_read.unsqueeze(-1)).sum((0, 1))


@contextmanager
def _at_rest(model: nn.Module) -> Iterator[None]:
    """In eval mode, and the weights as constants; both as before afterwards."""
    was_training = model.training
    loss_mask = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.eval()
    for parameter in loss_mask:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        model.train(was_training)
        for parameter in loss_mask:
            parameter.requires_grad_(True)
