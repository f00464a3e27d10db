"""Weights by gradient magnitude (GradMag): every term pulls the last layer equally hard.

    w_i = (1 / n_i) / sum_j (1 / n_j),   n_i = || gradient of term i in the last layer's weights ||

The norms are those of the whole optimizer step, summed over micro-batches and ranks before the norm is
taken, so that the weights do not depend on micro-batching. Before a step a pass over its window measures
them: one forward, without a graph below the last layer, and a backward through the last layer for each
term. It draws the random numbers of the pass that follows, which therefore meets the same dropout.

Source: Minixhofer, Vulic and Ponti 2025, arXiv:2503.20083, appendix (GradMag); bminixhofer/tokenkit,
`training/multitask.py:compute_inv_global_grad_norm` with `approx_gradmag_preserve_mag` in
`scripts/cross_tokenizer_distill.py`. There 1e-8 is added to each norm, so that a term without any gradient
takes nearly the whole weight; here it gets weight 0.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError, ModelError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.outputs import Outputs
from limbeck.engine.party import Learner, Party


def last_layer(reader: ForwardModel) -> list[nn.Parameter]:
    """The trained weights of a model's last layer; of a seq2seq model, of the decoder's.

    The layers are the longest list of modules that lies in no other list (experts and sublayers do).

    Raises:
        ModelError: the model has no such list, or none of its last layer is trained.
    """
    body = reader.plain.get_decoder() if reader.is_seq2seq else reader.plain
    lists = list(_outermost_lists(body))
    name = type(reader.plain).__name__
    if not lists:
        raise ModelError(
            f"model must hold its layers in a ModuleList to be balanced by gradients, got {name}. "
            "Leave balance out and weight the terms by hand."
        )
    layer = max(lists, key=len)[-1]
    trained = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    if not trained:
        raise ModelError(
            f"the last layer must be trained to be balanced by gradients, got a {name} whose last layer is "
            "frozen. Train it, or leave balance out."
        )
    return trained


def gradient_magnitude(
    learner: Learner,
    window: Sequence[Batch],
    answers: Sequence[Outputs | None],
    autocast: Callable[[], AbstractContextManager[object]],
    add_up: Callable[[Tensor], Tensor],
    *,
    counts: Tensor,
    step: int,
    total_steps: int,
) -> list[float]:
    """The weight of each term in one optimizer step; those of terms that do not regularise add up to 1.

    A term whose gradient in the last layer is 0 (nothing to learn in this step, or nothing left) gets
    weight 0. One that is nearly 0 keeps its share of the pull, as published: where all others are large,
    its weight is close to 1 and theirs close to 0. Where a gradient is not finite all weights are 1: the
    pass that follows meets it again and names the rows.

    Args:
        learner: model and terms, not wrapped.
        window: this rank's micro-batches of the step.
        answers: the teacher's, one a micro-batch.
        autocast: the precision that the step is computed in.
        add_up: sums a tensor over all ranks.
        counts: [terms, 4] of the whole step.
        step: optimizer step, for schedules.
        total_steps: of the run, for schedules.

    Raises:
        ConfigError: a term does not read the last layer.
    """
    parameters = last_layer(learner.reader)
    terms = learner.criterion.terms
    balanced = [place for place, term in enumerate(terms) if not term.regularises]
    width = sum(parameter.numel() for parameter in parameters)
    sums = {place: torch.zeros(width, device=counts.device) for place in balanced}
    moment: Any = {"counts": counts, "step": step, "total_steps": total_steps}
    devices = [counts.device] if counts.device.type == "cuda" else []
    with torch.random.fork_rng(devices), _only(parameters, learner):
        for batch, teacher in zip(window, answers, strict=True):
            with autocast():
                answer = learner.reader.read(batch.inputs, learner.needs)
            for place in balanced:
                only = _one(place, len(terms))
                with autocast():
                    loss, _ = learner.criterion(answer, teacher, batch, weights=only, **moment)
                again = place != balanced[-1]
                sums[place] += _gradients(loss, parameters, terms[place].name, again=again)
    norms = [float(torch.linalg.vector_norm(add_up(one), dtype=torch.float64)) for one in sums.values()]
    weights = [term.weight_at(step, total_steps) for term in terms]
    for place, weight in zip(balanced, _inverse_shares(norms), strict=True):
        weights[place] = weight
    return weights


def weight_metrics(party: Party, weights: Sequence[float] | None) -> dict[str, float]:
    """`weight_<term>` of balanced terms; nothing without weights."""
    if weights is None:
        return {}
    return {f"weight_{term.name}": one for term, one in zip(party.criterion.terms, weights, strict=True)}


def _gradients(loss: Tensor, parameters: Sequence[nn.Parameter], name: str, *, again: bool) -> Tensor:
    found: Sequence[Tensor | None] = [None]
    if loss.requires_grad:
        found = torch.autograd.grad(loss, parameters, retain_graph=again, allow_unused=True)
    if all(gradient is None for gradient in found):
        raise ConfigError(
            f"terms must read the last layer to be balanced by gradients, got {name}, which reads earlier "
            "ones alone. Leave balance out and weight the terms by hand."
        )
    flat = [
        torch.zeros_like(parameter).flatten() if gradient is None else gradient.flatten()
        for gradient, parameter in zip(found, parameters, strict=True)
    ]
    return torch.cat(flat).float()


def _inverse_shares(norms: Sequence[float]) -> list[float]:
    if not all(math.isfinite(norm) for norm in norms):
        return [1.0] * len(norms)
    least = min((norm for norm in norms if norm > 0), default=0.0)
    # Relative to the least one: 1 / norm may overflow.
    inverse = [least / norm if norm > 0 else 0.0 for norm in norms]
    return [one / (sum(inverse) or 1.0) for one in inverse]


def _one(place: int, terms: int) -> list[float]:
    return [float(other == place) for other in range(terms)]


@contextmanager
def _only(parameters: Sequence[nn.Parameter], learner: nn.Module) -> Iterator[None]:
    """No other parameter takes a gradient meanwhile: the forward keeps no graph below the last layer."""
    wanted = set(parameters)
    others = [p for p in learner.parameters() if p.requires_grad and p not in wanted]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def _outermost_lists(module: nn.Module) -> Iterator[nn.ModuleList]:
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from _outermost_lists(child)
